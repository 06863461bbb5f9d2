"""`copra embed`: a FASTA file in, embeddings out, by itself."""

from __future__ import annotations

import gzip
import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from copra import cli
from copra.config_file import load_config
from copra.embed.fasta import chosen_model, read_fasta
from copra.embed.language_models import load_language_model
from copra.embed.sizes import SIZES, memory_mb
from copra.embed.store import read_description, read_embeddings
from copra.errors import InputError


def run(fasta: Path, out: Path, *, family: str = "esm2", size: str = "8M", weights: str = "random:1") -> int:
    words = ("embed", str(fasta), "--family", family, "--size", size, "--weights", weights, "--out", str(out))
    return cli.main([*words, "--dtype", "float32"])


def test_proteins_of_a_fasta_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fasta, out = tmp_path / "p.fasta", tmp_path / "p.h5"
    fasta.write_text(">one a protein\nMKTAY\n  iak\n\n>two\nMKTAYIAK\n>three\nGX-\n")
    assert run(fasta, out) == 0
    names = pd.read_csv(tmp_path / "p.h5.tsv", sep="\t", index_col="name")
    assert names["n_residues"].tolist() == [8, 8, 3]
    assert names.loc["one", "sequence_sha256"] == names.loc["two", "sequence_sha256"]
    found = read_embeddings([out], list(names["sequence_sha256"]))
    alone = load_language_model(chosen_model("esm2", "8M", "random:1")[0], None).embed(["MKTAYIAK"])[0]
    np.testing.assert_allclose(found[names.loc["one", "sequence_sha256"]], alone, atol=1e-5)
    assert read_description([out])["weights"] == "random:1"
    fasta.write_text(fasta.read_text() + ">four\nWWW\n")
    assert run(fasta, out) == 0
    assert re.findall(r"(\d+) to compute", caplog.text) == ["2", "1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.fasta", "p.h5", "p.h5.tsv"]


def test_rna_is_upper_case_and_t_is_read_as_u(tmp_path: Path) -> None:
    (tmp_path / "r.fa").write_text(">a\nacgt\n>b\nACGU\r\n")
    assert read_fasta(tmp_path / "r.fa", "rinalmo") == {"a": "ACGU", "b": "ACGU"}
    assert read_fasta(tmp_path / "r.fa", "esm2") == {"a": "ACGT", "b": "ACGU"}


@pytest.mark.parametrize(
    ("text", "family", "words"),
    [
        ("MKT\n>a\nMK\n", "esm2", r"line 1: expected '>' and a name, found 'MKT'"),
        (">\nMK\n", "esm2", "line 1: expected a name"),
        (">a\nMK\n>a\nMK\n", "esm2", "line 3: the name a stands already in line 1"),
        (">a\nMK\n>b\n\n>c\nMK\n", "esm2", "line 3: b: a name without a sequence"),
        (">a\nMK\nMK*\n", "esm2", r"line 3: a: letter 3 is '\*', which is none of protein"),
        (">a\nACGU\nMKTALE\n", "rinalmo", "line 3: a: letter 5 is 'L', which is none of RNA"),
        (">a\nAC1GU\n", "rinalmo", "letter 3 is '1', which is none of RNA"),
        ("\n\n", "esm2", "no sequence in this file"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_by_name_and_line(text: str, family: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.fasta"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        read_fasta(path, family)
    assert str(path) in str(refused.value)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.fa").write_bytes(b">a\n\xff\xfe\n")
    for name in ("x.fa", "nowhere.fa"):
        assert run(tmp_path / name, tmp_path / "x.h5") == 2
        assert f"{name}: not a readable FASTA file" in capsys.readouterr().err
    assert not (tmp_path / "x.h5").exists()


def test_what_is_no_file_of_embeddings_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fasta = tmp_path / "p.fa"
    fasta.write_text(">a\nMK\n")
    assert run(fasta, fasta) == 2
    assert "this file is here already and holds no embeddings" in capsys.readouterr().err
    assert fasta.read_text() == ">a\nMK\n"
    assert run(fasta, tmp_path) == 2
    assert "this is a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["p.fa"]
    out = tmp_path / "p.h5"
    out.touch()
    assert run(fasta, out) == 0
    whole = out.read_bytes()
    out.write_bytes(whole[:-1])
    assert run(fasta, out) == 0
    assert out.read_bytes() == whole


def test_a_packed_file_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = gzip.compress(b">a\nMKTAY\n>b\nMK\n")
    (tmp_path / "p.fa.gz").write_bytes(data)
    assert read_fasta(tmp_path / "p.fa.gz", "esm2") == {"a": "MKTAY", "b": "MK"}
    (tmp_path / "p.fa.gz").write_bytes(data[:-6])
    assert run(tmp_path / "p.fa.gz", tmp_path / "x.h5") == 2
    assert "p.fa.gz: not a readable FASTA file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "size", "text", "warns"),
    [
        ("esm2", "8M", "ACGUUUGGN", True),
        ("esm2", "8M", "MKTAYIAK", False),
        ("rinalmo", "micro", "MKKKYWSR", True),
        ("rinalmo", "micro", "acgtNNR", False),
    ],
)
def test_sequences_of_the_other_molecule_give_a_warning(
    family: str, size: str, text: str, warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "p.fa").write_text(f">a\n{text}\n")
    assert run(tmp_path / "p.fa", tmp_path / "p.h5", family=family, size=size) == 0
    assert ("of the letters are A, C, G, U, T or N" in caplog.text) == warns


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"family": "bert"}, "--family 'bert': expected one of esm2, rinalmo"),
        ({"size": "giga"}, "--size 'giga': the sizes of esm2 are 8M, 35M, 150M, 650M, 3B, 15B"),
        ({"weights": "nowhere.pt"}, "nowhere.pt: no such file"),
        ({"weights": "."}, ".: a folder; expected the file of the esm2 checkpoint"),
        ({"weights": "random:x"}, "weights 'random:x': expected random:<seed>"),
        ({"weights": __file__}, "not a readable esm2 checkpoint (cut short?): no file of tensors alone"),
    ],
)
def test_a_wrong_model_is_refused(
    changes: dict[str, str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.fa").write_text(">a\nMK\n")
    assert run(tmp_path / "p.fa", tmp_path / "p.h5", **changes) == 2
    assert words in capsys.readouterr().err


def test_the_configuration_has_every_released_size(root: Path) -> None:
    models = load_config(root / "config.yaml").language_models
    for family, sizes in SIZES.items():
        for size, numbers in sizes.items():
            model = models[f"{family}_{size}"]
            assert (model.family, model.layers, model.width, model.heads) == (family, *numbers)
            assert model.weights == f"{family}_{size}"


def test_more_memory_for_larger_models_and_at_each_attempt(root: Path) -> None:
    models = load_config(root / "config.yaml").language_models
    small, large = (memory_mb(models[name], 8192, 1) for name in ("esm2_8M", "esm2_15B"))
    assert small < 8_000
    assert large > 4 * 2 * 15e3 * 0.9
    assert memory_mb(models["esm2_8M"], 8192, 3) > memory_mb(models["esm2_8M"], 8192, 2) > small
