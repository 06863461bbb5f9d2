"""Made worlds to train on: interfaces of two facing sheets, their records, folds and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from copra.config import Coformer, Embed, Esm2, Rinalmo
from copra.embed.shard import embed_sequences
from copra.files import sha256_of_text
from copra.structure.interface import Interface
from copra.structure.residues import RESIDUE_TYPES
from copra.structure.store import write_interfaces
from copra.tables import TABLES, write_table

CHARGED = [RESIDUE_TYPES.index(letter) for letter in "RKDE"]


def make_interface(name: str, generator: np.random.Generator, n_protein: int, n_rna: int) -> Interface:
    """An interface of random residues; how many of the protein's are charged differs from complex to complex."""
    charged = generator.random(n_protein) < generator.uniform(0.05, 0.7)
    others = [i for i in range(20) if i not in CHARGED]
    protein = np.where(charged, generator.choice(CHARGED, n_protein), generator.choice(others, n_protein))
    types = np.concatenate((protein, generator.integers(21, 25, n_rna))).astype(np.uint8)
    molecule = np.repeat(np.array([0, 1], np.uint8), [n_protein, n_rna])
    position = np.concatenate((np.arange(n_protein), np.arange(n_rna)))
    side = int(np.ceil(np.sqrt(n_protein)))
    grid = np.stack((position % side, position // side, molecule), axis=1) * np.array([5.0, 5.0, 7.0])
    ca = grid + generator.normal(0, 0.6, (n_protein + n_rna, 3))
    atoms = np.array([[-1.2, 0.5, 0], [0, 0, 0], [1.2, 0.6, 0], [1.8, 1.5, 0.4]])
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    texts = ["".join(RESIDUE_TYPES[i] for i in types[molecule == m]) for m in (0, 1)]
    return Interface(
        complex_id=name,
        chain_ids=("A", "B"),
        chain_sequence_sha256=tuple(sha256_of_text(text) for text in texts),
        molecule=molecule,
        residue_type=types,
        chain=molecule.astype(np.int16),
        polymer_index=position.astype(np.int32),
        auth_number=(position + 1).astype(np.int32),
        insertion_code=np.full(n_protein + n_rna, b"", "S1"),
        backbone_xyz_angstrom=(ca[:, None] + atoms).astype(np.float32),
        backbone_mask=np.ones((n_protein + n_rna, 4), dtype=np.bool_),
        partner_distance_angstrom=np.where(molecule[:, None] != molecule, distance, np.inf).min(1).astype(np.float32),
        centres_angstrom=np.array([ca.mean(0), ca[molecule == 0].mean(0), ca[molecule == 1].mean(0)], np.float32),
    )


def charged_fraction(interface: Interface) -> float:
    """The fraction of the protein residues that carry a charge."""
    return float(np.isin(interface.residue_type[interface.molecule == 0], CHARGED).mean())


@dataclass(frozen=True)
class World:
    """The files that `train_fold` and `fit_baseline` read."""

    records: Path
    folds: Path
    interfaces: list[Path]
    sequences: Path


def make_world(folder: Path, n_records: int, residues: tuple[int, int], seed: int) -> World:
    """Write records, folds and interfaces; dG falls with the charged fraction, with a little noise."""
    generator = np.random.default_rng(seed)
    cut, rows, texts = [], [], set()
    neutral = {"string": "", "int": 1, "float": 1.0, "bool": False}
    blank = {c.split()[0]: neutral[c.split()[1].rstrip("?")] for c in TABLES["records"].columns}
    for i in range(n_records):
        name = f"x{i:03}:A:B"
        one = make_interface(name, generator, int(generator.integers(*residues)), int(generator.integers(4, 9)))
        cut.append(one)
        letters = ["".join(RESIDUE_TYPES[t] for t in one.residue_type[one.molecule == m]) for m in (0, 1)]
        texts |= {("protein", letters[0]), ("rna", letters[1])}
        sequences = dict(zip(("protein_sequences", "rna_sequences"), letters, strict=True))
        keys = dict(zip(("protein_sha256", "rna_sha256"), one.chain_sequence_sha256, strict=True))
        lengths = {"n_protein_residues": len(letters[0]), "n_rna_nucleotides": len(letters[1])}
        dg = -9.0 - 6.0 * (charged_fraction(one) - 0.35) + generator.normal(0, 0.2)
        row = {"record_id": name, "pdb_id": name[:4], "dg_kcal_mol": dg, "dg_298k_kcal_mol": dg}
        rows.append({**blank, **row, **sequences, **keys, **lengths})
    write_table(pd.DataFrame(rows), folder / "records.parquet", "records")
    clusters = [f"c{i // 2:03}" for i in range(n_records)]
    dealt = {"record_id": [r["record_id"] for r in rows], "cluster": clusters}
    fold = [i // 2 % 4 for i in range(n_records)]
    write_table(pd.DataFrame({**dealt, "fold": fold}), folder / "folds.parquet", "folds")
    paths = [folder / "0.h5", folder / "1.h5"]
    for k, path in enumerate(paths):
        write_interfaces(cut[k::2], path)
    columns = ["molecule_type", "sequence"]
    listed = pd.DataFrame(sorted(texts), columns=columns)
    listed = listed.assign(
        sequence_sha256=listed["sequence"].map(sha256_of_text), n_residues=listed["sequence"].str.len(), shard=0
    )
    write_table(listed, folder / "sequences.parquet", "sequences")
    return World(folder / "records.parquet", folder / "folds.parquet", paths, folder / "sequences.parquet")


@pytest.fixture
def interface_maker() -> Callable[..., Interface]:
    return make_interface


@pytest.fixture
def world_maker() -> Callable[..., World]:
    return make_world


@pytest.fixture
def tiny_world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", 16, (6, 12), seed=1)


@pytest.fixture
def tiny_experiment() -> Coformer:
    return Coformer(
        model="coformer",
        protein_lm=None,
        rna_lm=None,
        preset="official",
        switches=None,
        blocks=1,
        sequence_width=8,
        pair_width=4,
        heads=2,
        outer_product_width=2,
        head_width=8,
        dropout=0.2,
        interface_nodes=12,
        nodes="interface",
        pair_information=True,
        special_nodes=True,
        learning_rate=0.01,
        weight_decay=0.01,
        batch_size=4,
        accumulate_batches=1,
        epochs=6,
        patience_epochs=6,
        gradient_clip=1.0,
        plateau_factor=None,
        plateau_patience_epochs=5,
        min_learning_rate=0.0,
        precision="fp32",
        checkpoint_minutes=10.0,
        loader_threads=0,
        pretrained=None,
        protocol="nested",
        inner_folds=3,
        shuffle_labels=False,
    )


@pytest.fixture
def embedded() -> Callable[..., tuple[Path, Path]]:
    """Write embeddings by two small random language models, named esm2_random and rinalmo_random."""

    def embed(world: World, folder: Path, dtype: Literal["float16", "float32"] = "float32") -> tuple[Path, Path]:
        settings = Embed(shards=1, max_tokens_per_batch=500, dtype=dtype, autocast="none")
        esm2 = Esm2(family="esm2", layers=1, width=16, heads=2, weights="random:0")
        rinalmo = Rinalmo(family="rinalmo", layers=1, width=8, heads=2, weights="random:0")
        paths = (folder / "esm2.h5", folder / "rinalmo.h5")
        for model, name, path in ((esm2, "esm2_random", paths[0]), (rinalmo, "rinalmo_random", paths[1])):
            embed_sequences(world.sequences, shard=0, name=name, model=model, settings=settings, out=path)
        return paths

    return embed
