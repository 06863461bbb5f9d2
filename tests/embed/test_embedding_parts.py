"""What was embedded once is not embedded again, whatever happened to the process or to the files."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config import Embed, Esm2
from copra.embed.shard import embed_sequences, token_batches
from copra.embed.store import find_problem, lengths_of, open_embeddings, read_embeddings
from copra.files import sha256_of_text
from copra.tables import write_table

ROOT = Path(__file__).resolve().parents[2]
MODEL = Esm2(family="esm2", layers=4, width=64, heads=4, weights="random:3")
SETTINGS = Embed(shards=2, max_tokens_per_batch=300, dtype="float16", autocast="none")


def proteins(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(5, 120, n)
    return ["".join(generator.choice(list("ARNDCQEGHILKMFPSTWYV"), length)) for length in lengths]


def table_of(texts: list[str], path: Path) -> Path:
    """A table of sequences dealt into two shards."""
    keys = [sha256_of_text(text) for text in texts]
    lengths = [len(text) for text in texts]
    columns = {"sequence_sha256": keys, "molecule_type": "protein", "sequence": texts, "n_residues": lengths}
    write_table(pd.DataFrame({**columns, "shard": [int(key[:8], 16) % 2 for key in keys]}), path, "sequences")
    return path


def embed(sequences: Path, out: Path, parts: Path, **changes: object) -> None:
    settings = SETTINGS.model_copy(update=changes)
    embed_sequences(sequences, shard=0, name="tiny", model=MODEL, settings=settings, out=out, parts=parts)


def computed(messages: list[str]) -> int:
    """How many sequences the log says had to be computed."""
    return int(re.findall(r"(\d+) to compute", "\n".join(messages))[-1])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_an_output_that_snakemake_removed_is_made_again_without_the_model(
    tmp_path: Path, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences, out = table_of(proteins(20, 1), tmp_path / "s.parquet"), tmp_path / "results" / "0.h5"
    embed(sequences, out, tmp_path / "raw")
    before = out.read_bytes()
    assert [path.name for path in (tmp_path / "raw").rglob("*") if path.is_file()] == ["whole.h5"]
    assert out.stat().st_nlink == 2, "the only part takes no room of its own"
    out.unlink()
    monkeypatch.setattr("copra.embed.language_models.load_language_model", None)
    embed(sequences, out, tmp_path / "raw")
    assert computed(log.messages) == 0
    assert out.read_bytes() == before


def test_only_new_sequences_are_computed(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    texts, out = proteins(30, 1), tmp_path / "0.h5"
    embed(table_of(texts[:20], tmp_path / "s.parquet"), out, tmp_path / "raw")
    known = [key for text in texts[:20] if int((key := sha256_of_text(text))[:8], 16) % 2 == 0]
    old = read_embeddings([out], known)
    out.unlink()
    embed(table_of(texts[5:], tmp_path / "s.parquet"), out, tmp_path / "raw")
    wanted = [key for text in texts[5:] if int((key := sha256_of_text(text))[:8], 16) % 2 == 0]
    assert computed(log.messages) == len(set(wanted) - set(known)) > 0
    new = read_embeddings([out], wanted)
    for key in set(known) & set(wanted):
        np.testing.assert_array_equal(new[key], old[key])
    embed(table_of(texts[5:], tmp_path / "s.parquet"), tmp_path / "alone.h5", tmp_path / "other")
    for key, array in read_embeddings([tmp_path / "alone.h5"], wanted).items():
        np.testing.assert_allclose(new[key], array, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize(
    "changes", [{"dtype": "float32"}, {"shards": 3}, {"weights": "random:4"}, {"heads": 2}, {"versions": "other"}],
    ids=str,
)  # fmt: skip
def test_parts_of_another_kind_are_not_used(
    changes: dict, tmp_path: Path, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences = table_of(proteins(8, 1), tmp_path / "s.parquet")
    embed(sequences, tmp_path / "0.h5", tmp_path / "raw")
    if "versions" in changes:
        monkeypatch.setattr("copra.embed.shard.version", lambda package: "9.9")
    settings = SETTINGS.model_copy(update={k: v for k, v in changes.items() if k in ("dtype", "shards")})
    model = MODEL.model_copy(update={k: v for k, v in changes.items() if k in ("weights", "heads")})
    (tmp_path / "0.h5").unlink()
    kinds = {"name": "tiny", "model": model, "settings": settings}
    embed_sequences(sequences, shard=0, **kinds, out=tmp_path / "0.h5", parts=tmp_path / "raw")
    assert computed(log.messages) > 0


def test_a_damaged_part_is_removed_and_computed_again(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    sequences, out = table_of(proteins(20, 1), tmp_path / "s.parquet"), tmp_path / "0.h5"
    embed(sequences, out, tmp_path / "raw")
    before = out.read_bytes()
    out.unlink()
    [part] = (tmp_path / "raw").rglob("*.h5")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 4  # a bit of an embedding
    part.write_bytes(bytes(data))
    embed(sequences, out, tmp_path / "raw")
    assert any(str(part) in message and "damaged" in message for message in log.messages)
    assert out.read_bytes() == before


def test_where_no_link_is_possible_the_parts_stay(
    tmp_path: Path, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("copra.embed.shard.os.link", refuse)
    sequences, out = table_of(proteins(20, 1), tmp_path / "s.parquet"), tmp_path / "0.h5"
    embed(sequences, out, tmp_path / "raw")
    before = out.read_bytes()
    assert len(list((tmp_path / "raw").rglob("*.h5"))) > 1
    out.unlink()
    embed(sequences, out, tmp_path / "raw")
    assert computed(log.messages) == 0
    assert out.read_bytes() == before


def test_batches_are_the_same_without_those_that_are_done() -> None:
    choice = random.Random(5)
    for _ in range(50):
        texts = {f"k{i}": "A" * choice.randint(1, 60) for i in range(40)}
        batches = token_batches(texts, 120)
        done = {key for batch in batches if choice.random() < 0.5 for key in batch}
        left = [batch for batch in batches if batch[0] not in done]
        assert token_batches({key: text for key, text in texts.items() if key not in done}, 120) == left


# --- killed -------------------------------------------------------------------------------------------

# the real command line in a fork of a process that has loaded torch once
SERVER = """
import json, os, sys
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
    """Kill a run of 15 batches when as many parts are there, a random moment later, and run it again."""
    choice = random.Random(11)
    sequences = table_of(proteins(120, 2), tmp_path / "s.parquet")
    n_own = sum(int(sha256_of_text(text)[:8], 16) % 2 == 0 for text in proteins(120, 2))
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
            to_compute = computed([errors.read_text()])
            assert to_compute == n_own - before, "a finished batch was computed again"
            resumed += 0 < to_compute < n_own
            assert [path.name for path in folder.rglob("*") if path.is_file()].count("whole.h5") == 1
            assert len([path for path in folder.rglob("*") if path.is_file()]) == 2, "something was left behind"
    assert resumed >= len(moments) // 2, "hardly any kill fell between the first and the last batch"


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    choice = random.Random(11)
    kill_and_rerun(tmp_path, [choice.randint(0, 16) for _ in range(20)])


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    kill_and_rerun(tmp_path, [3, 9])


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
