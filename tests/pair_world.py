"""A made world of pre-training pairs: table, chains, interfaces and distances, and a small recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config_model import HeldOut, Recipe
from copra.structure.distance_bins import distance_bin, write_distance_bins
from copra.structure.interface import Interface
from copra.structure.residues import RESIDUE_TYPES
from copra.structure.store import write_interfaces
from copra.tables import TABLES, write_table

NEUTRAL = {"string": "", "int": 1, "float": 1.0, "bool": False}
HELD = HeldOut(protein_identity=0.7, retrieval_candidates=5)


@dataclass(frozen=True)
class PairWorld:
    """The files that `pretrain` reads."""

    pri30k: Path
    chains: Path
    interfaces: list[Path]
    distances: list[Path]

    def arguments(self, out: Path, recipe: Recipe, **others: Any) -> dict[str, Any]:
        """The arguments of `pretrain`, which writes into `out`."""
        files = {"model": "model.safetensors", "description": "model.json"}
        files |= {"metrics": "metrics.jsonl", "pairs": "pairs.parquet"}
        chosen: dict[str, Any] = {
            "name": "tiny",
            "scope": "all",
            "recipe": recipe,
            "held_out": HELD,
            "seed": 3,
            "threads": 1,
            "checkpoint": out / "checkpoint",
            **vars(self),
            "protein_embeddings": [],
            "rna_embeddings": [],
            **{key: out / name for key, name in files.items()},
        }
        return chosen | others


def blank(table: str) -> dict[str, Any]:
    """A row of a table with a value of the right type in every column."""
    return {c.split()[0]: NEUTRAL[c.split()[1].rstrip("?")] for c in TABLES[table].columns}


def bins_of(interface: Interface) -> np.ndarray:
    """The bins between the nodes, from the backbone atoms, uint8 [n, n]."""
    xyz = interface.backbone_xyz_angstrom.astype(np.float64)
    distance = np.linalg.norm(xyz[:, None, :, None] - xyz[None, :, None, :], axis=-1).min((2, 3))
    np.fill_diagonal(distance, 0)
    return distance_bin(distance)


def make_pair_world(folder: Path, make: Callable[..., Interface], n_pairs: int, seed: int) -> PairWorld:
    """Two pairs to an entry, two proteins and two RNA each, in two shards."""
    generator = np.random.default_rng(seed)
    cut: dict[str, Interface] = {}
    pairs, chains = [], []
    for i in range(n_pairs):
        pdb_id, names = f"x{i // 2:03}", ("AB"[i % 2], "RS"[i % 2])
        pair_id = f"{pdb_id}:{names[0]}:{names[1]}"
        one = make(pair_id, generator, int(generator.integers(30, 40)), int(generator.integers(5, 9)))
        cut[pair_id] = one
        letters = ["".join(RESIDUE_TYPES[t] for t in one.residue_type[one.molecule == m]) for m in (0, 1)]
        keys = one.chain_sequence_sha256
        lengths = {"n_protein_residues": len(letters[0]), "n_rna_nucleotides": len(letters[1])}
        row = {"pair_id": pair_id, "pdb_id": pdb_id, "protein_chain": names[0], "rna_chain": names[1], **lengths}
        pairs.append(blank("pri30k") | row | {"protein_sha256": keys[0], "rna_sha256": keys[1]})
        for molecule, kind in enumerate(("protein", "rna")):
            told = {"pdb_id": pdb_id, "chain": names[molecule], "molecule_type": kind}
            chains.append(blank("chains") | told | {"sequence": letters[molecule], "sequence_sha256": keys[molecule]})
    folder.mkdir(parents=True, exist_ok=True)
    write_table(pd.DataFrame(pairs), folder / "pri30k.parquet", "pri30k")
    write_table(pd.DataFrame(chains), folder / "chains.parquet", "chains")
    interfaces, distances = [], []
    for k in range(2):
        part = list(cut.values())[k::2]
        interfaces.append(folder / f"interfaces_{k}.h5")
        distances.append(folder / f"distances_{k}.h5")
        write_interfaces(part, interfaces[-1])
        write_distance_bins([(one.complex_id, bins_of(one)) for one in part], distances[-1])
    return PairWorld(folder / "pri30k.parquet", folder / "chains.parquet", interfaces, distances)


def tiny_recipe(**changes: Any) -> Recipe:
    """A recipe for seconds."""
    values: dict[str, Any] = {
        "protein_lm": None,
        "rna_lm": None,
        "preset": "official",
        "switches": None,
        "blocks": 1,
        "sequence_width": 16,
        "pair_width": 8,
        "heads": 4,
        "outer_product_width": 2,
        "dropout": 0.1,
        "interface_nodes": 32,
        "contrast": True,
        "contrast_pass": "together",
        "distance": "masked_interface",
        "alpha": 1.0,
        "temperature": 0.2,
        "masked_samples": 0.5,
        "masked_nodes": 0.15,
        "false_negatives": "kept",
        "validation_clusters": 0.25,
        "learning_rate": 5e-3,
        "weight_decay": 0.0,
        "batch_size": 6,
        "accumulate_batches": 1,
        "epochs": 3,
        "patience_epochs": 3,
        "gradient_clip": 100.0,
        "plateau_factor": None,
        "plateau_patience_epochs": 5,
        "min_learning_rate": 1e-6,
        "precision": "fp32",
        "checkpoint_minutes": 10.0,
        "loader_threads": 0,
    }
    return Recipe(**(values | changes))
