from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from copra import cli
from copra.config import Embed
from copra.errors import InputError


def test_help_lists_every_verb_in_data_order_and_starts_fast() -> None:
    times = []
    for _ in range(3):
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "copra.cli", "--help"], capture_output=True, text=True, check=True)
        times.append(time.monotonic() - start)
    verbs = [verb for stage in cli.STAGES.values() for verb in stage]
    positions = [done.stdout.index(f"  {verb} ") for verb in verbs]
    assert positions == sorted(positions)
    assert min(times) < 0.5


def test_an_unknown_verb_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["parse-everything"]) == 2
    assert capsys.readouterr().err == "copra: no verb 'parse-everything'; `copra --help` lists them\n"


def test_arguments_are_read_off_the_signature(tmp_path: Path) -> None:
    seen = {}

    def step(
        table: Path, *, count: int, settings: Embed, names: list[str], strict: bool, out: Path | None = None
    ) -> int:
        """A step."""
        seen.update(table=table, count=count, settings=settings, names=names, strict=strict, out=out)
        return 1

    embed = '{"shards":2,"max_tokens_per_batch":100,"dtype":"float16","autocast":"none"}'
    words = ["a.csv", "--count", "3", "--settings", embed, "--names", "x", "y z", "--no-strict"]
    assert cli.call(step, "step", words) == 1
    assert seen == {
        "table": Path("a.csv"),
        "count": 3,
        "settings": Embed(shards=2, max_tokens_per_batch=100, dtype="float16", autocast="none"),
        "names": ["x", "y z"],
        "strict": False,
        "out": None,
    }


def test_a_users_mistake_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def list_entries() -> None:
        raise InputError("entries.json: row 3: found 'x', expected a PDB id")

    monkeypatch.setattr("copra.parse.entries.list_entries", list_entries)
    assert cli.main(["list-entries"]) == 2
    assert capsys.readouterr().err == "copra list-entries: entries.json: row 3: found 'x', expected a PDB id\n"
