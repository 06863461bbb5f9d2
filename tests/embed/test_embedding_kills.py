"""A run of the embedding that is killed at any moment goes on where it was."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config import Embed, Esm2
from copra.embed.shard import embed_sequences
from copra.embed.store import find_problem, lengths_of, open_embeddings
from copra.files import sha256_of_text
from copra.tables import write_table

ROOT = Path(__file__).resolve().parents[2]
MODEL = Esm2(family="esm2", layers=4, width=64, heads=4, weights="random:3")
SETTINGS = Embed(shards=2, max_tokens_per_batch=300, dtype="float16", autocast="none")


def proteins(n: int, seed: int) -> list[str]:
    """Random proteins, the last of them in three windows."""
    generator = np.random.default_rng(seed)
    lengths = [*generator.integers(5, 120, n - 1), 2000]
    return ["".join(generator.choice(list("ARNDCQEGHILKMFPSTWYV"), length)) for length in lengths]


def table_of(texts: list[str], path: Path) -> Path:
    """A table of sequences in two shards, the longest in shard 0."""
    keys = [sha256_of_text(text) for text in texts]
    lengths = [len(text) for text in texts]
    columns = {"sequence_sha256": keys, "molecule_type": "protein", "sequence": texts, "n_residues": lengths}
    shards = [0 if len(text) > 1022 else i % 2 for i, text in enumerate(texts)]
    write_table(pd.DataFrame({**columns, "shard": shards}), path, "sequences")
    return path


# the real command line in a fork of a process that has loaded torch once
SERVER = """
import json, os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, an ended child is gone before it is waited for
sys.path.insert(0, ROOT)
import torch
import copra.cli, copra.embed.language_models, copra.embed.shard
torch.set_num_threads(1)
for line in sys.stdin:
    words, errors = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os._exit(copra.cli.main(words))
    print(pid, flush=True)
    sys.stdin.readline()  # until it is waited for, the number stays this process's, ended or not
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Shell:
    """Starts `copra` and kills it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def copra(self, *words: str, errors: Path, until: Callable[[], None] | None = None) -> int:
        """Run a verb to its end, or kill it when `until` returns; returns the exit status as of waitpid."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([words, str(errors)]) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if until is not None:
            until()
            with suppress(ProcessLookupError):  # it had ended by itself
                os.kill(pid, signal.SIGKILL)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def shell() -> Iterator[Shell]:
    code = SERVER.replace("ROOT", repr(str(ROOT)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield Shell(process)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait(30)


def words_for(sequences: Path, shard: int, folder: Path) -> tuple[str, ...]:
    return (
        "embed-sequences", str(sequences), "--shard", str(shard), "--name", "tiny",
        "--model", MODEL.model_dump_json(), "--settings", SETTINGS.model_dump_json(),
        "--parts", str(folder / "raw"), "--out", str(folder / "results" / f"{shard}.h5"),
    )  # fmt: skip


def embedded_in(folder: Path) -> int:
    """How many sequences the parts there hold; each of them must be whole."""
    parts = [path for path in folder.rglob("*.h5") if not path.name.startswith(".")]
    assert {path: find_problem(path) for path in parts} == dict.fromkeys(parts, "")
    keys: set[str] = set()
    for path in parts:
        with open_embeddings(path) as file:
            keys |= lengths_of(file).keys()
    return len(keys)


def wait_for(n_parts: int, jitter_s: float, folder: Path) -> None:
    """Until so many parts are there or the work is done, and a moment more."""
    end = time.monotonic() + 60
    while time.monotonic() < end and not (folder / "results" / "0.h5").exists():
        if len(list((folder / "raw").rglob("*.h5"))) >= n_parts:
            break
        time.sleep(0.001)
    time.sleep(jitter_s)


def kill_and_rerun(tmp_path: Path, moments: list[int]) -> None:
    """Kill a run of 23 batches when as many parts are there, a random moment later, and run it again."""
    choice = random.Random(11)
    sequences = table_of(proteins(121, 2), tmp_path / "s.parquet")
    n_own = 61
    errors = tmp_path / "errors"
    resumed = 0
    with shell() as run:
        assert run.copra(*words_for(sequences, 0, tmp_path), errors=errors) == 0, errors.read_text()
        expected = (tmp_path / "results" / "0.h5").read_bytes()
        for n, n_parts in enumerate(moments):
            folder = tmp_path / str(n)
            folder.mkdir()
            words = words_for(sequences, 0, folder)
            moment = partial(wait_for, n_parts, choice.uniform(0, 0.03), folder)
            run.copra(*words, errors=errors, until=moment)
            out = folder / "results" / "0.h5"
            assert not out.exists() or out.read_bytes() == expected
            before = embedded_in(folder / "raw")
            out.unlink(missing_ok=True)
            assert run.copra(*words, errors=errors) == 0, errors.read_text()
            assert out.read_bytes() == expected
            to_compute = int(re.findall(r"(\d+) to compute", errors.read_text())[-1])
            assert to_compute == n_own - before, "a finished batch was computed again"
            resumed += 0 < to_compute < n_own
            assert [path.name for path in folder.rglob("*") if path.is_file()].count("whole.h5") == 1
            assert len([path for path in folder.rglob("*") if path.is_file()]) == 2, "something was left behind"
    assert resumed >= len(moments) // 2, "hardly any kill fell between the first and the last batch"


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    choice = random.Random(11)
    kill_and_rerun(tmp_path, [choice.randint(0, 24) for _ in range(20)])


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    kill_and_rerun(tmp_path, [3, 14])


@pytest.mark.slow
def test_jobs_of_two_shards_side_by_side(tmp_path: Path) -> None:
    sequences = table_of(proteins(60, 2), tmp_path / "s.parquet")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from copra.cli import main; sys.exit(main())"
    running = [
        subprocess.Popen([sys.executable, "-c", code, *words_for(sequences, shard, tmp_path)], stderr=subprocess.PIPE)
        for shard in (0, 1)
    ]
    for process in running:
        assert process.wait(120) == 0
    for shard in (0, 1):
        alone = tmp_path / f"alone_{shard}.h5"
        embed_sequences(sequences, shard=shard, name="tiny", model=MODEL, settings=SETTINGS, out=alone)
        assert alone.read_bytes() == (tmp_path / "results" / f"{shard}.h5").read_bytes()
