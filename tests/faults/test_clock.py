"""A clock that jumps: no wait without end, no other numbers, and where files lie in the future it is said.

No library that fakes the clock is at hand: files are given other times, and Python another clock.
"""

from __future__ import annotations

import email.utils
import os
import random
import re
import subprocess
import time
from itertools import count
from pathlib import Path

import pytest
import torch
from training_runs import TRAINING, read_metrics, run, without_clock
from workflow_copy import DEMO, copy_project, digests

from copra.fetch.download import _retry_after_s

DAY_S = 86_400
MUTANTS = "results/demo/structures/mutants.parquet"
# the only places that look at the wall clock, and what for
WALL_CLOCK = {
    "embed/language_models.py": "whether a file of weights changed while this process runs",
    "fetch/download.py": "a Retry-After date of a server that does not tell its own time",
    "fetch/source.py": "the receipt's date, which nothing is computed from",
    "predict/viewer.py": "when a download that failed is tried again; a time in the future counts as now",
}
LOOKS = re.compile(r"\btime\.(?:time|localtime|gmtime|ctime)\(|\.(?:now|utcnow|today)\(|st_mtime|getmtime")


def test_durations_are_taken_from_the_monotonic_clock(root: Path) -> None:
    package = root / "copra"
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if LOOKS.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(WALL_CLOCK)


def test_training_under_a_jumping_clock_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = TRAINING.model_copy(update={"checkpoint_minutes": 0.0})
    calm, _ = run(tmp_path / "calm", training)
    jumps = random.Random(2)
    monkeypatch.setattr(time, "time", lambda: 1.8e9 + jumps.uniform(-1000, 1000) * DAY_S)
    torn, _ = run(tmp_path / "torn", training)
    for a, b in zip(calm.parameters(), torn.parameters(), strict=True):
        assert torch.equal(a, b)
    assert without_clock(read_metrics(tmp_path / "calm")) == without_clock(read_metrics(tmp_path / "torn"))
    assert all(0 <= line["seconds"] < 60 for line in read_metrics(tmp_path / "torn"))


@pytest.mark.parametrize("days_off", [-400, 0, 400])
def test_a_wait_that_a_server_dates_is_counted_by_its_own_clock(days_off: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1.8e9
    monkeypatch.setattr(time, "time", lambda: now_s + days_off * DAY_S)
    date, later = (email.utils.formatdate(now_s + wait_s, usegmt=True) for wait_s in (0, 7))
    assert _retry_after_s(later, date) == 7
    assert _retry_after_s("7", date) == 7
    if days_off >= 0:  # without the server's time there is only our own; beyond 600 s the next mirror is asked
        assert _retry_after_s(later, None) == (0 if days_off else 7)


@pytest.mark.slow
def test_files_from_the_future_are_named_and_touching_them_mends_it(root: Path, tmp_path: Path) -> None:
    project = copy_project(root, tmp_path / "copra")
    project.demo("--", MUTANTS)
    whole = digests(project)
    stores = sorted(project.folder.glob("results/demo/structures/shards/*/store.h5"))
    for path, days in zip(stores, count(1)):  # the clock went back while the run was under way
        os.utime(path, (time.time() + days * DAY_S,) * 2)
    skewed = project.snakemake(*DEMO, "--", MUTANTS)
    assert skewed.returncode != 0
    assert re.search(r"Output \S+ has older modification time .* than input \S+store\.h5", skewed.stdout)
    assert "clock skew" in skewed.stdout
    assert "Traceback" not in skewed.stdout
    assert not (project.folder / MUTANTS).exists(), "what may be stale is taken away"
    touch = ["find", "results", "-newermt", "now", "-exec", "touch", "-c", "{}", "+"]
    subprocess.run(touch, cwd=project.folder, check=True)
    project.demo("--", MUTANTS)
    assert digests(project) == whole
