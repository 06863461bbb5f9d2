"""A small archive of chains and pairs, and the build over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from copra.config import Pri30k
from copra.decisions import rows_as_dicts
from copra.files import sha256_of_text
from copra.pri30k.build import REASONS, build_pri30k
from copra.tables import TABLES, empty_table, read_table, write_table

SETTINGS: dict[str, Any] = {
    "variant": "component", "repeats": "keep", "min_binding_residues": 2, "counted_residues": "observed",
    "min_protein_residues": 2, "max_protein_residues": 10, "min_rna_nucleotides": 2, "max_rna_nucleotides": 6,
    "max_total_residues": 14,
}  # fmt: skip
EMPTY = {"string": "", "int": 0, "float": 0.0, "float?": None, "bool": False}


def filled(table: str, **values: Any) -> dict[str, Any]:
    return {name: EMPTY[kind] for name, kind in (c.split() for c in TABLES[table].columns)} | values


class Bench:
    """Rows of the tables that the build reads; `folder` is laid out as a results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, dict(SETTINGS)
        self.tables: dict[str, list[dict[str, Any]]] = {"entries": [], "chains": [], "contacts": [], "pairs": []}

    def entry(self, pdb_id: str, chains: str, status: str = "read", release_date: str = "2020-01-01") -> None:
        """`chains` as `A=protein:MKK R=rna:GG/GGAA`: name, molecule, observed sequence, full one where it differs."""
        row = filled("entries", pdb_id=pdb_id, status=status, reason="" if status == "read" else "not_readable")
        self.tables["entries"].append(row | {"release_date": release_date})
        for text in chains.split():
            name, kind, sequences = text.replace("=", ":").split(":")
            observed, _, full = sequences.partition("/")
            full = full or observed
            facts = {"sequence": full, "sequence_sha256": sha256_of_text(full), "molecule_type": kind}
            lengths = {"n_residues": len(full), "n_observed": len(observed), "observed_sequence": observed}
            self.tables["chains"].append(filled("chains", pdb_id=pdb_id, chain=name, **facts, **lengths))

    def pairs(self, table: str, text: str) -> None:
        """Rows `1abc:A:R:7` of `pairs` or `contacts`; the last is the number of binding residues."""
        for pdb_id, protein, rna, count in (pair.split(":") for pair in text.split()):
            row = {"pdb_id": pdb_id, "protein_chain": protein, "rna_chain": rna, "n_binding_residues": int(count)}
            self.tables[table].append(filled(table, **row))

    def path(self, name: str) -> Path:
        places = {"pairs": "parsed/biolip2", "pri30k": "pri30k", "decisions": "pri30k", "funnel": "pri30k"}
        return self.folder / places.get(name, "structures") / f"{name}.parquet"

    def build(self, **changes: Any) -> tuple[list[str], dict[str, str], pd.DataFrame]:
        """The ids that are kept, the reason of each that is not, and the table `pri30k`."""
        for name, rows in self.tables.items():
            frame = pd.DataFrame(rows, columns=TABLES[name].schema().names) if rows else empty_table(name)
            write_table(frame, self.path(name), name)
        structures = {name: self.path(name) for name in ("entries", "chains", "contacts")}
        settings = Pri30k(**(self.settings | changes))
        written = {"out": self.path("pri30k"), "decisions": self.path("decisions"), "funnel": self.path("funnel")}
        build_pri30k(pairs=[self.path("pairs")], settings=settings, **structures, **written)
        table = read_table(self.path("pri30k"), "pri30k")
        decisions = rows_as_dicts(read_table(self.path("decisions"), "decisions"))
        told = {row["subject"]: row["rule"] for row in decisions}
        funnel = read_table(self.path("funnel"), "funnel")
        assert set(told.values()) <= REASONS.keys()
        assert funnel["rows_out"].iloc[-1] == len(table)
        assert list(funnel["rows_in"].iloc[1:]) == list(funnel["rows_out"].iloc[:-1])
        assert funnel["rows_in"].iloc[0] == len(table) + len(decisions), "each pair is kept or has one decision"
        return list(table["pair_id"]), told, table


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "results")
