"""What a run says last about jobs that failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from copra.provenance.failures import TAIL_LINES, failure_summary


def job(folder: Path, rule: str, log: str | None, made: bool = False, **wildcards: str) -> Any:
    """What the summary reads of a job of snakemake."""
    output, log_file = folder / f"{rule}.parquet", folder / f"{rule}.log"
    if made:
        output.touch()
    if log is not None:
        log_file.write_text(log)
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule), wildcards=wildcards, output=[output], log=[log_file], attempt=4,
        is_group=lambda: False,
    )  # fmt: skip


def test_each_failed_job_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = "\n".join(f"line {n}" for n in range(5000))
    said = failure_summary([job(tmp_path, "train_fold", log, fold="1", place="", experiment="egnn")])
    assert said.startswith("1 jobs failed for good:\n  train_fold experiment=egnn fold=1 (attempt 4)\n")
    assert said.count("line ") == TAIL_LINES
    assert "line 4999" in said
    assert str(tmp_path / "train_fold.log") in said


def test_a_job_without_a_log_or_with_an_empty_one_was_ended_from_outside(tmp_path: Path) -> None:
    said = failure_summary([job(tmp_path, "audit", None), job(tmp_path, "report", "")])
    assert "audit.log: no log was written" in said
    assert "report.log is empty; the job was ended from outside" in said


def test_of_a_group_only_those_without_their_outputs_are_named(tmp_path: Path) -> None:
    members = [job(tmp_path, "fine", "all is well", made=True), job(tmp_path, "broken", "E: no such chain")]
    said = failure_summary([SimpleNamespace(is_group=lambda: True, jobs=members)])
    assert "broken (attempt 4)" in said
    assert "no such chain" in said
    assert "fine" not in said
