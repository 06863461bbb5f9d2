"""States of SLURM jobs, as the executor is told them."""

from __future__ import annotations

import asyncio

import pytest

from copra.provenance.slurm_states import first_words

States = dict[str, str] | None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"1": "CANCELLED by 1000", "2": "RUNNING"}, {"1": "CANCELLED", "2": "RUNNING"}),
        ({"1": ""}, {"1": ""}),
        ({}, {}),
        (None, None),
    ],
)
def test_who_cancelled_a_job_is_left_out(said: States, told: States) -> None:
    async def query(command: str) -> tuple[States, float]:
        return said, 0.1

    assert asyncio.run(first_words(query)("sacct")) == (told, 0.1)
