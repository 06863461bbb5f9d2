"""Rows for the tests of clusters, folds and leakage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.files import sha256_of_text
from copra.tables import TABLES, write_table

AMINO = list("ARNDCQEGHILKMFPSTWYV")
NEUTRAL = {"string": "", "int": 0, "float": 0.0, "bool": False}


def put(path: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    """Write a table; what a row does not say is empty or zero."""
    kinds = dict(column.split() for column in TABLES[name].columns)
    full = [{column: row.get(column, NEUTRAL.get(kind)) for column, kind in kinds.items()} for row in rows]
    write_table(pd.DataFrame(full, columns=list(kinds)), path, name)
    return path


def write_records(
    path: Path,
    proteins: dict[str, list[str]],
    dg: list[float] | None = None,
    rna: dict[str, list[str]] | None = None,
) -> Path:
    """Records with these protein chains and, where given, these RNA chains; the entry is the id's first part."""
    rows = []
    for i, (record, sequences) in enumerate(proteins.items()):
        row = {"record_id": record, "pdb_id": record.split(":")[0], "dg_kcal_mol": dg[i] if dg else -9.0}
        for molecule, chains in (("protein", sequences), ("rna", (rna or {}).get(record, ["ACGUACGU"]))):
            row[f"{molecule}_sequences"] = ",".join(chains)
            row[f"{molecule}_sha256"] = ",".join(sha256_of_text(s) for s in chains)
        rows.append(row)
    return put(path, "records", rows)


def write_clusters(path: Path, cluster: dict[str, str]) -> Path:
    """A table `clusters` in which each record has the cluster given."""
    return put(path, "clusters", [{"record_id": r, "cluster": c, "protein_clusters": c} for r, c in cluster.items()])


def random_protein(length: int, generator: np.random.Generator) -> str:
    """A protein of random residues."""
    return "".join(generator.choice(AMINO, length))


def mutated(sequence: str, fraction: float, generator: np.random.Generator) -> str:
    """The protein with that fraction of its residues replaced by others."""
    letters = list(sequence)
    for i in generator.choice(len(letters), int(fraction * len(letters)), replace=False):
        letters[i] = AMINO[(AMINO.index(letters[i]) + 1 + int(generator.integers(18))) % 20]
    return "".join(letters)
