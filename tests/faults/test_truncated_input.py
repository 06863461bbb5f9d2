"""A file of an earlier stage that was cut off: an error that names it, never other data.

Elsewhere: coordinate files (tests/structure/test_fuzz.py, tests/predict/test_inputs.py), downloads (tests/fetch),
checkpoints (tests/train/test_checkpoint.py), damage within embeddings (tests/embed/test_embedding_store.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaged import finished_experiment
from sample_results import fill, put
from small_disk import families
from written_files import bins, embeddings, interfaces, structures, table

from copra import cli
from copra.config_file import load_config
from copra.embed.store import lengths_of, open_embeddings, read_embeddings
from copra.errors import CopraError, InputError
from copra.predict.package import read_description
from copra.structure.distance_bins import DistanceBins
from copra.structure.store import interface_ids, read_interfaces, read_structures
from copra.tables import read_table
from copra.train.pretraining_pairs import usable_pairs


def read_bins(path: Path) -> Any:
    return DistanceBins([path], ["1abc:A:B"]).read("1abc:A:B")


def read_all_embeddings(path: Path) -> Any:
    with open_embeddings(path) as file:
        keys = list(lengths_of(file))
    return {key: array.tolist() for key, array in read_embeddings([path], keys).items()}


def read_all_interfaces(path: Path) -> Any:
    return read_interfaces([path], interface_ids([path]))


def read_sequences(path: Path) -> Any:
    return read_table(path, "sequences")


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (table, read_sequences),
        (structures, read_structures),
        (interfaces, read_all_interfaces),
        (bins, read_bins),
        (embeddings, read_all_embeddings),
    ],
    ids=lambda function: function.__name__,
)
def test_a_cut_file_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], read: Callable[[Path], Any]
) -> None:
    path = tmp_path / "file"
    write(path)
    whole = path.read_bytes()
    read(path)
    choice = random.Random(3)
    lengths = [0, 1, 7, 8, 100, 511, 512, len(whole) // 2, *choice.sample(range(len(whole)), 25)]
    for n_bytes in [*lengths, len(whole) - 8, len(whole) - 1]:
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(InputError, match=str(path)):
            read(path)


@pytest.mark.parametrize("n_bytes", [0, 50, -1])
def test_the_command_line_names_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], n_bytes: int
) -> None:
    words = [str(word) for word in families(tmp_path)]
    folds = Path(words[1])
    folds.write_bytes(folds.read_bytes()[:n_bytes])
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    assert cli.main(words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"copra choose-family: {folds}: not a readable Parquet file with table 'folds'")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_package_with_a_cut_file_is_refused(tmp_path: Path) -> None:
    package = finished_experiment(tmp_path / "run").pack(tmp_path / "package")
    text = (package / "model.json").read_bytes()
    for n_bytes in (0, 1, len(text) // 2, len(text) - 3):
        (package / "model.json").write_bytes(text[:n_bytes])
        with pytest.raises(InputError, match=str(package / "model.json")):
            read_description(package)


def test_a_cut_list_of_pairs_is_refused(tmp_path: Path) -> None:
    """It is plain text: a part of a line would be an unknown pair or, worse, another one."""
    pairs = [
        fill("pri30k", pair_id=f"1a0{i}:A:B", pdb_id=f"1a0{i}", protein_chain="A", rna_chain="B") for i in range(9)
    ]
    put(tmp_path / "pairs.parquet", "pri30k", pairs)
    whole = "".join(f"1a0{i}:A:B\n" for i in range(9))
    kept = tmp_path / "kept.txt"
    for n_bytes in range(1, len(whole)):
        if whole[n_bytes - 1] != "\n":
            kept.write_text(whole[:n_bytes])
            with pytest.raises(InputError, match=f"{kept}: "):
                usable_pairs(tmp_path / "pairs.parquet", kept, [], None, np.random.default_rng(0))


def test_a_cut_configuration_is_refused(root: Path, tmp_path: Path) -> None:
    text = (root / "config.yaml").read_text(encoding="utf-8")
    for n_characters in (0, 10, len(text) // 3, len(text) // 2, len(text) - 400):
        (tmp_path / "config.yaml").write_text(text[:n_characters], encoding="utf-8")
        with pytest.raises(CopraError):
            load_config(tmp_path / "config.yaml")
