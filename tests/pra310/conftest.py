"""A small label path, merge to select, on tables whose outcome is known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from copra.config import Pra201, Pra310, Window
from copra.decisions import rows_as_dicts
from copra.files import sha256_of_text
from copra.pra310.calibrate import calibrate_labels
from copra.pra310.merge import merge_measurements
from copra.pra310.select import select_records
from copra.tables import empty_table, read_table, write_table

NO_CORRECTIONS = "corrections: []\n"
LITERATURE = "subject\tkd_molar\ttemperature_k\tph\tmethod\tpmid\tlocation\tnote\n"


def chain(pdb_id: str, name: str, kind: str, sequence: str) -> dict[str, Any]:
    return {
        "pdb_id": pdb_id, "chain": name, "label_chains": name, "molecule_type": kind, "sequence": sequence,
        "sequence_sha256": sha256_of_text(sequence), "observed_sequence": sequence, "n_residues": len(sequence),
        "n_observed": len(sequence), "n_modified": 0, "n_gaps": 0, "sequence_origin": "",
    }  # fmt: skip


def entry(pdb_id: str, reason: str) -> dict[str, Any]:
    return {
        "pdb_id": pdb_id, "status": "quarantined", "reason": reason, "detail": "", "file_sha256": "", "method": "",
        "resolution_angstrom": None, "release_date": "", "n_models": 1, "n_protein_chains": 1, "n_rna_chains": 0,
        "n_residues": 0, "n_atoms": 0, "handled": "",
    }  # fmt: skip


class Desk:
    """Files of one small run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chains: list[dict[str, Any]] = []
        self.contacts: list[dict[str, Any]] = []
        self.measurements: list[dict[str, Any]] = []
        self.set_aside: dict[str, str] = {}
        self.corrections, self.literature = NO_CORRECTIONS, LITERATURE
        self.settings = self.limits()

    def structure(self, pdb_id: str, chains: dict[str, tuple[str, str]], touching: str) -> None:
        self.chains += [chain(pdb_id, name, kind, sequence) for name, (kind, sequence) in chains.items()]
        self.contacts += [
            {
                "pdb_id": pdb_id, "protein_chain": pair[0], "rna_chain": pair[1], "n_residue_contacts": 3,
                "min_distance_angstrom": 3.0, "n_atom_contacts": 9, "n_binding_residues": 3,
            }
            for pair in touching.split()
        ]  # fmt: skip

    @staticmethod
    def limits(**changes: Any) -> Pra310:
        values: dict[str, Any] = {
            "default_temperature_k": 298.15, "agree_within_kcal_mol": 0.5, "unresolved_beyond_kcal_mol": 1.0,
            "source_order": ["good", "fair"], "older_editions": {"fair_old": "fair"}, "max_packing_contacts": 1,
            "min_protein_residues": 3, "max_protein_residues": 20,
            "min_rna_nucleotides": 1, "max_rna_nucleotides": 8, "max_protein_chains": 3, "max_rna_chains": 2,
            "variant": "full", "dg_window_kcal_mol": Window(low=-13.0, high=-5.5),
            "pra201": Pra201(max_protein_residues=10, max_rna_nucleotides=5),
        }  # fmt: skip
        return Pra310(**(values | changes))

    @staticmethod
    def measurement(name: str, pdb_id: str, chains: str = "", kd: float = 1e-8, **changes: Any) -> dict[str, Any]:
        protein, _, rna = chains.partition(":")
        values = {
            "measurement_id": name, "source": name.split(":")[0], "source_version": "", "source_row": "1",
            "file_sha256": "", "raw_text": "", "pdb_id": pdb_id, "protein_chains": protein, "rna_chains": rna,
            "quantity": "Kd", "relation": "=", "value": kd, "unit": "M", "uncertainty": None, "temperature_k": 298.0,
            "ph": None, "method": "", "pmid": "", "mutation": "", "nucleic_acid": "", "parse_rule": "", "comment": "",
        }  # fmt: skip
        return values | changes

    @staticmethod
    def one(name: str, kd: float, **changes: Any) -> dict[str, Any]:
        """A measurement of 1aaa:A:Q."""
        return Desk.measurement(name, "1aaa", "A:Q", kd, **changes)

    def run(self) -> None:
        f = self.folder
        tables = {"chains": self.chains, "contacts": self.contacts, "m": self.measurements}
        for name, rows in tables.items():
            table = "measurements" if name == "m" else name
            write_table(pd.DataFrame(rows) if rows else empty_table(table), f / f"{name}.parquet", table)
        entries = pd.DataFrame([entry(*pair) for pair in self.set_aside.items()])
        write_table(entries if len(entries) else empty_table("entries"), f / "entries.parquet", "entries")
        (f / "corrections.yaml").write_text(self.corrections)
        (f / "literature.tsv").write_text(self.literature)
        structures = {name: f / f"{name}.parquet" for name in ("entries", "chains", "contacts")}
        merge_measurements(
            [f / "m.parquet"], **structures, settings=self.settings, candidates=f / "candidates.parquet",
            decisions=f / "merge_d.parquet", funnel=f / "merge_f.parquet",
        )  # fmt: skip
        calibrate_labels(
            f / "candidates.parquet", measurements=[f / "m.parquet"], settings=self.settings,
            corrections=f / "corrections.yaml", labels=f / "labels.parquet", noise=f / "label_noise.parquet",
            decisions=f / "calibrate_d.parquet", funnel=f / "calibrate_f.parquet",
        )  # fmt: skip
        select_records(
            f / "labels.parquet", **structures, settings=self.settings, records=f / "records.parquet",
            decisions=f / "select_d.parquet", funnel=f / "select_f.parquet",
        )  # fmt: skip

    def table(self, name: str) -> pd.DataFrame:
        return read_table(self.folder / f"{name}.parquet", name)

    def table_of_measurements(self) -> pd.DataFrame:
        return read_table(self.folder / "m.parquet", "measurements")

    def decisions(self, *steps: str) -> pd.DataFrame:
        frames = [read_table(self.folder / f"{step}_d.parquet", "decisions") for step in steps]
        return pd.concat(frames, ignore_index=True)

    def verdicts(self, *steps: str) -> dict[str, tuple[str, str]]:
        return {row["subject"]: (row["rule"], row["verdict"]) for row in rows_as_dicts(self.decisions(*steps))}

    def label(self) -> Any:
        rows = self.table("labels").to_dict("records")
        assert len(rows) == 1
        return rows[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
