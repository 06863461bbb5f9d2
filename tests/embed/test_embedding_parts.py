"""What was embedded once is not embedded again, whatever happened to the process or to the files."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra.config import Embed, Esm2
from copra.embed.language_models import load_language_model
from copra.embed.shard import compute_parts, describe, embed_sequences
from copra.embed.store import read_embeddings
from copra.files import sha256_of_text
from copra.tables import write_table

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


def test_windows_of_long_sequences_share_batches_and_keep_the_budget(tmp_path: Path) -> None:
    texts = {sha256_of_text(text): text for text in (n * "MKTAYIAKQR" for n in (100, 102, 103, 150, 160, 900))}
    model = load_language_model(MODEL, None)
    shapes: list[tuple[int, ...]] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    settings = SETTINGS.model_copy(update={"max_tokens_per_batch": 6 * 1024})
    parts = compute_parts(texts, tmp_path, describe("tiny", MODEL, None, settings), model, settings)
    # 1,000 and 1,020 residues are whole, 1,030 and 1,500 are two windows each: six rows; 1,600 are two; 9,000 are 12
    assert [rows for rows, _ in shapes] == [6, 2, 6, 6]
    assert len(set(parts.values())) == 3
    model = load_language_model(MODEL, None)
    for key, array in read_embeddings(sorted(set(parts.values())), list(texts)).items():
        np.testing.assert_allclose(array, model.embed([texts[key]])[0], rtol=2e-3, atol=1e-3)
