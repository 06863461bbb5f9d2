"""What a run says last about jobs that failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from copra.provenance.failures import SHOWN, failure_summary

TRACEBACK = """
2026-11-23 15:41:25,625 INFO 60 records
Traceback (most recent call last):
  File "copra/cli.py", line 135, in main
    return int(call(function, words[0], words[1:]) or 0)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
KeyError: 'chain'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "copra/x.py", line 5, in x
RuntimeError: shapes differ
[2, 3] and [3, 2]
"""


def job(folder: Path, rule: str, log: str | None, made: bool = False, **wildcards: str) -> Any:
    """What the summary reads of a job of snakemake."""
    name = "_".join([rule, *wildcards.values()])
    output, log_file = folder / f"{name}.parquet", folder / f"{name}.log"
    if made:
        output.touch()
    if log is not None:
        log_file.write_text(log)
    return SimpleNamespace(
        rule=SimpleNamespace(name=rule), wildcards=wildcards, output=[output], log=[log_file], attempt=4,
        is_group=lambda: False,
    )  # fmt: skip


def test_a_failed_job_is_named_with_its_log_and_what_copra_said(tmp_path: Path) -> None:
    log = "".join(f"2026-11-23 INFO line {n}\n" for n in range(5000)) + "copra train-fold: f.csv: row 3: found 'x'\n"
    said = failure_summary([job(tmp_path, "train_fold", log, fold="1", place="", experiment="egnn")])
    assert said.splitlines() == [
        "1 jobs failed for good:",
        f"  train_fold experiment=egnn fold=1 (attempt 4), log: {tmp_path}/train_fold_1__egnn.log",
        "    copra train-fold: f.csv: row 3: found 'x'",
        "What is done is kept: mend the cause and type the same command again.",
    ]


def test_of_a_traceback_only_the_error_is_shown(tmp_path: Path) -> None:
    said = failure_summary([job(tmp_path, "audit", TRACEBACK)])
    assert said.splitlines()[2:-1] == [
        "    copra did not expect this; please report it: RuntimeError: shapes differ",
        "    [2, 3] and [3, 2]",
    ]


def test_of_a_log_without_a_reason_the_last_line_is_shown(tmp_path: Path) -> None:
    log = "copra audit: an old one\n" + "".join(f"2026-11-23 15:41:25,625 INFO line {n}\n" for n in range(50))
    said = failure_summary([job(tmp_path, "audit", log)])
    assert said.count("line ") == 1
    assert "line 49" in said
    assert "ended from outside" in said
    assert "an old one" not in said


def test_of_a_long_message_the_first_lines_are_shown(tmp_path: Path) -> None:
    log = "2026-11-23 15:41:25,625 INFO x\ncopra fetch-source: cannot be had; tried:\n  a\n  b\n  c\n"
    said = failure_summary([job(tmp_path, "fetch_source", log)])
    assert said.splitlines()[2:-1] == [
        "    copra fetch-source: cannot be had; tried:",
        "      a (and 2 more lines in the log)",
    ]


def test_a_job_without_a_log_or_with_an_empty_one_was_ended_from_outside(tmp_path: Path) -> None:
    said = failure_summary([job(tmp_path, "audit", None), job(tmp_path, "report", "")])
    assert "audit.log\n    no log was written" in said
    assert "report.log\n    the log is empty; the job was ended from outside" in said


def test_the_same_reason_is_told_once_and_few_reasons_at_a_time(tmp_path: Path) -> None:
    text = "copra cluster-proteins: the program 'cd-hit' is not on PATH\n"
    said = failure_summary([job(tmp_path, "cluster_proteins", text, family=f"p{n}") for n in (30, 40, 70)])
    assert len(said.splitlines()) == 4
    assert said.startswith("3 jobs failed for good:\n  cluster_proteins family=p30 (attempt 4)")
    assert "(and so 2 more, the last of them cluster_proteins family=p70 (attempt 4))" in said
    others = [job(tmp_path, f"rule_{letter}", f"copra x: {letter}\n") for letter in "abcdefghi"]
    said = failure_summary(others)
    assert said.count("attempt 4") == SHOWN
    assert f"and {9 - SHOWN} more for other reasons" in said


def test_of_a_group_only_those_without_their_outputs_are_named(tmp_path: Path) -> None:
    members = [job(tmp_path, "fine", "all is well", made=True), job(tmp_path, "broken", "E: no such chain")]
    said = failure_summary([SimpleNamespace(is_group=lambda: True, jobs=members)])
    assert "broken (attempt 4)" in said
    assert "no such chain" in said
    assert "fine" not in said
