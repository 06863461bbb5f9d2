"""Checkpoints that are not what they were when they came."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from copra import cli
from copra.config import Embed, Rinalmo
from copra.embed.language_models import load_language_model
from copra.embed.shard import embed_sequences
from copra.embed.store import read_description
from copra.errors import InputError
from copra.fetch.receipts import Receipt, receipt_path, write_receipt
from copra.fetch.source import fetch_source
from copra.files import sha256_of_file, sha256_of_text
from copra.tables import write_table

MODEL = Rinalmo(family="rinalmo", layers=2, width=16, heads=2, weights="rinalmo_tiny")
SETTINGS = Embed(shards=1, max_tokens_per_batch=100, dtype="float16", autocast="none")


def checkpoint(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = MODEL.model_copy(update={"weights": "random:1"})
    torch.save(load_language_model(made, None).encoder.state_dict(), path)
    return path


def brought_by_hand(tmp_path: Path) -> Path:
    """Weights that lay in a folder of the user, as the pipeline takes them."""
    own = checkpoint(tmp_path / "by_hand" / "tiny.pt")
    out = tmp_path / "raw" / "tiny.pt"
    fetch_source(
        "rinalmo_tiny", url=[f"file:{own}"], sha256="first_use", version="", begins="", required=True, timeout_s=1,
        retries=0, min_bytes_per_s=1, out=out, receipt=receipt_path(out),
    )  # fmt: skip
    return out


def embed(tmp_path: Path, weights: Path, receipt: Path | None) -> Path:
    row = {"sequence_sha256": sha256_of_text("ACGU"), "molecule_type": "rna", "sequence": "ACGU", "n_residues": 4}
    write_table(pd.DataFrame([{**row, "shard": 0}]), tmp_path / "s.parquet", "sequences")
    out = tmp_path / "0.h5"
    kinds = {"name": "tiny", "model": MODEL, "settings": SETTINGS, "out": out}
    embed_sequences(tmp_path / "s.parquet", shard=0, weights=weights, receipt=receipt, **kinds)
    return out


def change_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_weights_of_the_users_folder_are_checked_and_named(tmp_path: Path) -> None:
    weights = brought_by_hand(tmp_path)
    out = embed(tmp_path, weights, receipt_path(weights))
    assert read_description([out])["weights"] == f"sha256:{sha256_of_file(weights)}"


def test_a_changed_byte_is_found_before_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = brought_by_hand(tmp_path)
    came = sha256_of_file(weights)
    change_a_byte(weights)
    monkeypatch.setattr("torch.load", None)
    expected = f"{weights}: .*'rinalmo_tiny'.* found sha256:{sha256_of_file(weights)}, expected sha256:{came}"
    with pytest.raises(InputError, match=expected):
        embed(tmp_path, weights, receipt_path(weights))
    assert not (tmp_path / "0.h5").exists()


def test_a_byte_changed_after_all_was_embedded_is_found_too(tmp_path: Path) -> None:
    weights = brought_by_hand(tmp_path)
    embed(tmp_path, weights, receipt_path(weights))
    change_a_byte(weights)
    with pytest.raises(InputError, match="is not what it was when it came"):
        embed(tmp_path, weights, receipt_path(weights))


def test_a_receipt_of_nothing_is_refused(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path / "tiny.pt")
    receipt = receipt_path(weights)
    with pytest.raises(InputError, match=rf"{receipt}: expected the receipt of a checkpoint"):
        embed(tmp_path, weights, receipt)
    receipt.write_text("[1]")
    with pytest.raises(InputError, match=rf"{receipt}: expected the receipt of a checkpoint"):
        embed(tmp_path, weights, receipt)
    write_receipt(Receipt("rinalmo_tiny", "", "", "", 0, "missing", "http://x: 404"), receipt)
    with pytest.raises(InputError, match=rf"{receipt}: the checkpoint 'rinalmo_tiny' could not be had .*http://x: 404"):
        embed(tmp_path, weights, receipt)
    with pytest.raises(InputError, match="a receipt is given, but no checkpoint file"):
        embed_sequences(
            tmp_path / "s.parquet", shard=0, name="tiny", model=MODEL, settings=SETTINGS, out=tmp_path / "1.h5",
            receipt=receipt,
        )  # fmt: skip


def test_embed_looks_at_a_receipt_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = brought_by_hand(tmp_path)
    change_a_byte(weights)
    (tmp_path / "r.fa").write_text(">a\nACGU\n")
    words = ("embed", str(tmp_path / "r.fa"), "--family", "rinalmo", "--size", "micro", "--weights", str(weights))
    assert cli.main([*words, "--out", str(tmp_path / "r.h5")]) == 2
    assert "is not what it was when it came" in capsys.readouterr().err


def test_half_precision_checkpoints_are_read_as_float32(tmp_path: Path) -> None:
    weights = checkpoint(tmp_path / "tiny.pt")
    state = torch.load(weights, weights_only=True)
    torch.save({name: value.half() for name, value in state.items()}, weights)  # as the largest released models are
    encoder = load_language_model(MODEL, weights).encoder
    for name, value in encoder.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.cpu(), state[name].half().float(), atol=0, rtol=0)
