"""Checkpoints and model packages that a hostile hand wrote: nothing of them runs, and each is refused in one line."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_model import tiny_model

from copra.cli import main
from copra.config import Esm2, Rinalmo
from copra.embed.language_models import load_language_model
from copra.errors import CopraError, InputError
from copra.files import sha256_of_file
from copra.predict.members import Members
from copra.predict.package import MODEL, read_package
from copra.train.checkpoint import load_checkpoint
from copra.train.pretrained import _read_description

SMALL = Esm2(family="esm2", layers=1, width=16, heads=2, weights="file")
RNA = Rinalmo(family="rinalmo", layers=1, width=16, heads=2, weights="file")
MIB = 1 << 20


class Runs:
    """What a pickle would do that asks for a call."""

    def __init__(self, call: object, *given: object) -> None:
        self.asked = call, given

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.asked


def harms(touched: Path) -> dict[str, object]:
    return {
        "a shell": Runs(os.system, f"touch {touched}"),
        "a method": Runs(Path.touch, touched),
        "eval": Runs(eval, f"open({str(touched)!r}, 'w')"),
        "an open file": Runs(open, str(touched), "w"),
        "another pickle": Runs(pickle.loads, pickle.dumps(Runs(Path.touch, touched))),
        "torch's own loader": Runs(torch.load, str(touched)),
    }


@pytest.mark.parametrize("kind", list(harms(Path("x"))))
def test_a_pickle_that_asks_for_a_call_is_refused_and_not_run(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touched, path = tmp_path / "touched", tmp_path / "evil.pt"
    (tmp_path / "x.fasta").write_text(">a\nMKTAY\n")
    words = ["--family", "esm2", "--size", "8M", "--weights", str(path), "--out", str(tmp_path / "x.h5")]
    for write in (
        lambda harm: torch.save({"model": harm}, path),
        lambda harm: torch.save({"model": harm}, path, _use_new_zipfile_serialization=False),
        lambda harm: path.write_bytes(pickle.dumps({"model": harm})),
    ):
        write(harms(touched)[kind])
        with pytest.raises(InputError) as error:
            load_language_model(SMALL, path)
        assert str(error.value).startswith(f"{path}: not a readable esm2 checkpoint")
        assert "weights_only" not in str(error.value), "no advice to read it in a way that runs code"
        assert len(str(error.value).splitlines()) == 1
    assert main(["embed", str(tmp_path / "x.fasta"), *words]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("copra embed:")]
    assert len(told) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.pt", "x.fasta"]


def test_the_harm_is_real(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(harms(tmp_path / "touched")["a method"]))
    assert (tmp_path / "touched").exists()


def test_a_checkpoint_in_the_form_of_a_tar_file_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle", "../../evil"):
            member = tarfile.TarInfo(name)
            data = pickle.dumps(harms(tmp_path / "touched")["a method"])
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(InputError, match="not a readable esm2 checkpoint"):
        load_language_model(SMALL, path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pt"]


def test_a_checkpoint_that_swells_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path, whole = tmp_path / "bomb.pt", io.BytesIO()
    torch.save({"model": {}}, whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"N" * 32 * MIB if name.endswith("data.pkl") else b""))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"bomb\.pt: not a esm2 checkpoint: \d+ bytes that say they unpack to 335"):
            load_language_model(SMALL, path)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_a_pickle_that_asks_for_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for asked in (Runs(bytearray, 10**18), Runs(bytearray, 10**30), Runs(OrderedDict, 7)):
        path.write_bytes(pickle.dumps({"model": asked}, protocol=2))
        with pytest.raises(InputError, match="not a readable esm2 checkpoint"):
            load_language_model(SMALL, path)


@pytest.mark.parametrize("heads", ["x", None, [1], 10**400, 3.5])
def test_what_a_checkpoint_states_of_itself_is_only_compared(heads: object, tmp_path: Path) -> None:
    stated = argparse.Namespace(encoder_attention_heads=heads)
    torch.save({"model": {"x": torch.zeros(1)}, "cfg": {"model": stated}}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"does not fit|attention heads"):
        load_language_model(SMALL, tmp_path / "x.pt")


def test_damaged_checkpoints_are_refused_in_good_order(tmp_path: Path) -> None:
    rng, wholes = random.Random(3), []
    for zipped in (True, False):
        buffer = io.BytesIO()
        state = {"model": {"a": torch.zeros(2), "b": [1, "x", None]}, "cfg": argparse.Namespace(x=1)}
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
        wholes.append(buffer.getvalue())
    for i in range(160):
        data = bytearray(wholes[i % 2])
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(len(data) if i % 4 else 300)] = rng.randrange(256)
        (tmp_path / "x.pt").write_bytes(data)
        with contextlib.suppress(CopraError):  # anything else fails the test
            load_language_model(SMALL if i % 3 else RNA, tmp_path / "x.pt")


# --- our own checkpoints and packages -----------------------------------------------------------------


def odd_safetensors(touched: Path) -> list[bytes]:
    nested = b"[" * 5000
    return [
        pickle.dumps(harms(touched)["a method"]),
        (2**60).to_bytes(8, "little") + b"{}",
        (99_000_000).to_bytes(8, "little") + b"{}",
        len(nested).to_bytes(8, "little") + nested,
        (2).to_bytes(8, "little") + b"{}",
        b"",
    ]


def test_a_checkpoint_of_training_that_is_no_checkpoint_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for data in odd_safetensors(tmp_path / "touched"):
        caplog.clear()
        path.write_bytes(data)
        assert load_checkpoint(path, "f") is None
        assert "starting anew" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def with_values(folder: Path, change: dict[str, object]) -> Path:
    told = json.loads((folder / MODEL).read_text())
    (folder / MODEL).write_text(json.dumps(told | change))
    return folder


def test_a_member_that_is_a_pickle_with_the_right_sum_is_refused_and_not_run(tmp_path: Path) -> None:
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    member = package / "seed_1_fold_0.safetensors"
    (told,) = json.loads((package / MODEL).read_text())["members"]
    for data in odd_safetensors(tmp_path / "touched"):
        member.write_bytes(data)
        with_values(package, {"members": [told | {"sha256": sha256_of_file(member)}]})
        with pytest.raises(InputError, match=r"seed_1_fold_0\.safetensors: not the weights of a model"):
            Members(read_package(package), "cpu")
    save_file({"x": torch.zeros(1)}, member)
    with pytest.raises(InputError, match="not what was packed"):
        read_package(package)
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize(
    "file",
    ["../../etc/passwd", "/etc/passwd", "a/../b.safetensors", "..", "x.safetensors\n", "x.pt", "x\0.safetensors", ""],
)
def test_a_member_names_a_file_of_the_package_only(file: str, tmp_path: Path) -> None:
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    (told,) = json.loads((package / MODEL).read_text())["members"]
    with pytest.raises(InputError, match=r"model\.json: not the description of a model package: members\.0\.file"):
        read_package(with_values(package, {"members": [told | {"file": file}]}))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": ' + '{"a":' * 50_000, '{"format": 1, "format": NaN}', "\x00", '"\\ud800"']
)
def test_a_description_that_is_none_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    (package / MODEL).write_text(text)
    assert main(["predict", "x.cif", "--model", str(package)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match=r"model\.json: "):
        _read_description(package / MODEL)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "-1", "0", "1e999"])
def test_numbers_of_a_description_are_numbers(value: str, tmp_path: Path) -> None:
    package = tiny_model(tmp_path / "p", protein_lm=None, rna_lm=None, n_members=1)
    path = package / MODEL
    path.write_text(path.read_text().replace('"label_sd_kcal_mol":2.0', f'"label_sd_kcal_mol":{value}'))
    with pytest.raises(InputError, match="label_sd_kcal_mol"):
        read_package(package)
