"""The full-size synthetic archive and the jobs of benchmarks/datasets.py; each public function is one job."""

from __future__ import annotations

import gzip
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config import Pri30k
from copra.files import sha256_of_file, sha256_of_text
from copra.parse.biolip2 import parse_biolip2
from copra.pri30k.build import build_pri30k
from copra.split.clusters import cluster_proteins
from copra.split.folds import assign_folds
from copra.tables import TABLES, read_table, write_table

AMINO_ACIDS, NUCLEOTIDES = np.array(list("ARNDCQEGHILKMFPSTWYV")), np.array(list("ACGU"))
RIBOSOME_PROTEINS, RIBOSOME_RNAS = 50, (2900, 1540, 120, 76, 76, 20)  # chains, nucleotides
EMPTY = {"string": "", "int": 0, "float": 0.0, "float?": None, "bool": False}
CHAIN_NAMES = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *(f"A{c}" for c in "ABCDEFGHIJKLMNOPQ")]


def table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows with the columns that they lack at their empty values."""
    kinds = dict(column.split() for column in TABLES[name].columns)
    frame = pd.DataFrame(rows)
    lacking = {c: pd.Series([EMPTY[k]] * len(frame), dtype=None if k != "float?" else float) for c, k in kinds.items()}
    return frame.assign(**{c: values for c, values in lacking.items() if c not in frame})[list(kinds)]


class Archive:
    """Rows of an archive of small complexes and ribosomes, drawn from families of related proteins."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.families = [self.rng.choice(AMINO_ACIDS, n) for n in self.rng.integers(40, 700, 2500)]
        self.rows: dict[str, list[dict[str, Any]]] = {"entries": [], "chains": [], "contacts": [], "records": []}
        self.lines: list[str] = []

    def chain(self, pdb_id: str, name: str, kind: str, letters: np.ndarray) -> str:
        """Add one chain; returns its sequence."""
        sequence = "".join(letters)
        facts = {"sequence": sequence, "sequence_sha256": sha256_of_text(sequence), "observed_sequence": sequence}
        lengths = {"n_residues": len(sequence), "n_observed": len(sequence)}
        self.rows["chains"].append({"pdb_id": pdb_id, "chain": name, "molecule_type": kind, **facts, **lengths})
        return sequence

    def relative(self, family: np.ndarray) -> np.ndarray:
        """A member of a family: up to 60 % of the residues replaced."""
        changed = self.rng.random(len(family)) < self.rng.uniform(0, 0.6)
        return np.where(changed, self.rng.choice(AMINO_ACIDS, len(family)), family)

    def entry(self, pdb_id: str, proteins: list[np.ndarray], rnas: list[np.ndarray], n_pairs: int) -> None:
        """Add one entry of these chains with `n_pairs` pairs, and a record of its first two chains."""
        self.rows["entries"].append({"pdb_id": pdb_id, "status": "read", "release_date": "2020-01-01"})
        names = CHAIN_NAMES[: len(proteins) + len(rnas)]
        sequences = [self.chain(pdb_id, n, "protein", s) for n, s in zip(names, proteins, strict=False)]
        bases = [self.chain(pdb_id, n, "rna", s) for n, s in zip(names[len(proteins) :], rnas, strict=True)]
        for place in self.rng.choice(len(proteins) * len(rnas), n_pairs, replace=False):
            p, r = divmod(int(place), len(rnas))
            pair = {"protein_chain": names[p], "rna_chain": names[len(proteins) + r]}
            sites = np.sort(self.rng.choice(len(sequences[p]), int(self.rng.integers(1, 30)), replace=False))
            site = " ".join(f"{sequences[p][i]}{i + 1}" for i in sites)
            cells = [pdb_id, names[p], "2.50", "BS01", "rna", pair["rna_chain"], "1", site, site, *[""] * 11]
            self.lines.append("\t".join([*cells, sequences[p]]))
            counts = {"n_residue_contacts": 2 * len(sites), "n_binding_residues": len(sites)}
            self.rows["contacts"].append({"pdb_id": pdb_id, **pair, **counts})
        keys = {"protein_sha256": sha256_of_text(sequences[0]), "rna_sha256": sha256_of_text(bases[0])}
        record = {"record_id": f"{pdb_id}:{names[0]}:{names[len(proteins)]}", "pdb_id": pdb_id, **keys}
        said = {"protein_sequences": sequences[0], "rna_sequences": bases[0], "dg_kcal_mol": self.rng.normal(-9, 2)}
        self.rows["records"].append(record | said)


def make(folder: str, n_entries: int, n_pairs: int, seed: int) -> dict[str, Any]:
    """Write the archive: BioLiP2's file, its receipt and the tables of the structure room."""
    archive, out = Archive(seed), Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    rng = archive.rng
    ribosomal = [archive.families[i] for i in range(RIBOSOME_PROTEINS)]
    n_ribosomes = n_entries // 10
    small = rng.integers(1, 9, n_entries - n_ribosomes)
    large = np.diff(np.linspace(0, n_pairs - small.sum(), n_ribosomes + 1).astype(int))
    for number, count in enumerate(rng.permutation([*small, *large]).tolist()):
        pdb_id = f"{number // 1296 % 9 + 1}" + np.base_repr(number % 46656 + 46656, 36)[1:].lower()
        if count < 9:
            proteins = [archive.relative(archive.families[rng.integers(len(archive.families))])] * int(count)
            rnas = [rng.choice(NUCLEOTIDES, int(rng.integers(4, 90)))] * int(rng.integers(1, 3))
        else:
            proteins = [archive.relative(family) for family in ribosomal]
            rnas = [rng.choice(NUCLEOTIDES, n) for n in RIBOSOME_RNAS]
        archive.entry(pdb_id, proteins, rnas, int(count))
    (out / "BioLiP.txt.gz").write_bytes(gzip.compress("".join(f"{x}\n" for x in archive.lines).encode(), 1, mtime=0))
    said = {"status": "fetched", "sha256": sha256_of_file(out / "BioLiP.txt.gz")}
    (out / "receipt.json").write_text(json.dumps(said))
    for name, rows in archive.rows.items():
        write_table(table(name, rows), out / f"{name}.parquet", name)
    return {name: len(rows) for name, rows in archive.rows.items()} | {"pairs": len(archive.lines)}


def parse(folder: str) -> dict[str, Any]:
    """Transcribe BioLiP2's file."""
    f = Path(folder)
    written = {"pairs": f / "pairs.parquet", "rejects": f / "rejects.parquet"}
    started = time.perf_counter()
    parse_biolip2(f / "BioLiP.txt.gz", source="biolip2", receipt=f / "receipt.json", **written)
    return _answer(started, rows=len(read_table(f / "pairs.parquet", "pairs")))


def build(folder: str, settings: dict[str, Any], with_biolip2: bool) -> dict[str, Any]:
    """Build PRI30k from BioLiP2's pairs or from the contacts."""
    f = Path(folder)
    read = {name: f / f"{name}.parquet" for name in ("entries", "chains", "contacts")}
    written = {"out": f / "pri30k.parquet", "decisions": f / "decisions.parquet", "funnel": f / "funnel.parquet"}
    pairs = [f / "pairs.parquet"] if with_biolip2 else []
    started = time.perf_counter()
    build_pri30k(pairs=pairs, settings=Pri30k.model_validate(settings), **read, **written)
    return _answer(started, rows=len(read_table(f / "pri30k.parquet", "pri30k")))


def cluster(folder: str, identity: float, threads: int) -> dict[str, Any]:
    """Cluster the records with CD-HIT."""
    f = Path(folder)
    started = time.perf_counter()
    cluster_proteins(f / "records.parquet", identity=identity, threads=threads, clusters=f / "clusters.parquet")
    return _answer(started, rows=read_table(f / "clusters.parquet", "clusters")["cluster"].nunique())


def deal(folder: str, folds: int, seed: int) -> dict[str, Any]:
    """Deal the clusters into folds."""
    f = Path(folder)
    started = time.perf_counter()
    written = {"out": f / "folds.parquet", "ids": f / "folds.txt"}
    assign_folds(f / "clusters.parquet", records=f / "records.parquet", folds=folds, seed=seed, **written)
    return _answer(started, rows=read_table(f / "folds.parquet", "folds")["fold"].nunique())


def _answer(started: float, rows: int) -> dict[str, Any]:
    """Seconds since `started`, rows of what came out, and the most memory that a child process held, in bytes."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"s": time.perf_counter() - started, "rows": rows, "child_peak_bytes": children}
