"""One file of each kind that stages hand on, written by the pipeline's own writers; equal bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from predict_world import demo_file
from safetensors.torch import save_file

from copra.embed.store import DESCRIPTION, find_problem, rounded, write_embeddings
from copra.files import replacing, sha256_of_text
from copra.structure.distance_bins import write_distance_bins
from copra.structure.interface import cut_interface
from copra.structure.reader import read_structure
from copra.structure.residues import PROTEIN, RNA
from copra.structure.store import write_interfaces, write_structures
from copra.tables import write_table
from copra.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def table(path: Path) -> None:
    """A table of 60 sequences."""
    letters = np.random.default_rng(0).choice(list("ACDEFGHIKLMNPQRSTVWY"), (60, 400))
    texts = ["".join(row) for row in letters]
    columns = {"sequence_sha256": [sha256_of_text(text) for text in texts], "molecule_type": "protein"}
    write_table(pd.DataFrame({**columns, "sequence": texts, "n_residues": 400, "shard": 0}), path, "sequences")


def structures(path: Path) -> None:
    """A store of one structure."""
    write_structures([read_structure(demo_file("0daa"), "0daa")], path)


def interfaces(path: Path) -> None:
    """A store of twelve interfaces."""
    structure = read_structure(demo_file("0daa"), "0daa")
    sides = [[structure.chain_ids[i] for i in np.flatnonzero(structure.chain_is(kind))] for kind in (PROTEIN, RNA)]
    write_interfaces([cut_interface(structure, f"0daa:{i}", *sides, 40) for i in range(12)], path)


def bins(path: Path) -> None:
    """Binned distances of one complex."""
    values = np.random.default_rng(0).integers(0, 40, (150, 150)).astype(np.uint8)
    write_distance_bins([("1abc:A:B", np.triu(values) + np.triu(values, 1).T)], path)


def embeddings(path: Path) -> None:
    """Embeddings of twenty sequences."""
    generator = np.random.default_rng(0)
    said: dict[str, str | int] = dict.fromkeys(DESCRIPTION, "x") | {"layer": 1, "width": 32, "heads": 1}
    said["dtype"] = "float16"
    arrays = {sha256_of_text(str(i)): generator.standard_normal((20 + i, 32)).astype(np.float32) for i in range(20)}
    arrays = dict(sorted(arrays.items()))
    lengths = {key: len(array) for key, array in arrays.items()}
    write_embeddings(path, lengths, said, [(key, rounded(array, "float16", key)) for key, array in arrays.items()])
    assert find_problem(path) == ""


def checkpoint(path: Path) -> None:
    """A checkpoint; its header names its values in any order."""
    tensors = {f"t{i}": torch.randn(2000, generator=torch.Generator().manual_seed(i)) for i in range(8)}
    save_checkpoint(Checkpoint("same", tensors, {"epoch": 1}), path)
    assert load_checkpoint(path, "same") is not None


def weights(path: Path) -> None:
    """Weights of a model."""
    with replacing(path) as temporary:
        save_file({"w": torch.arange(20000.0)}, temporary)


def text(path: Path) -> None:
    """Lines of text."""
    with replacing(path) as temporary:
        temporary.write_text("a line of text\n" * 3000, encoding="utf-8")
