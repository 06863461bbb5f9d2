"""A prediction of a demo entry and a scan with made numbers, for the tests of their pages; nothing is a real result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.predict.result import ChosenComplex, Prediction, ResidueView
from copra.predict.scan_page import LETTERS as SUBSTITUTIONS
from copra.predict.scan_page import SCAN_COLUMNS, ScanAbout
from copra.predict.shown_structure import shown_structure
from copra.structure.interface import residue_contacts
from copra.structure.reader import read_structure
from copra.structure.residues import FIRST_RNA, LETTERS, Structure
from copra.units import kd_from_dg

TEMPERATURE_K = 298.15
CONTACT_ANGSTROM = 5.0
MODEL = {
    "experiment": "coformer_dg",
    "weights": "esm2_t33 sha256:" + "a" * 64,
    "data": "PRA310, 310 records",
    "commit": "0123abc",
    "metrics": "PCC 0.41 [0.30, 0.52] on held-out folds",
}
ABOUT = ScanAbout(
    complex_id="0aaa:A:R", file="x.cif", file_sha256="f" * 64, dg_kcal_mol=-9.5, temperature_k=298.15,
    method="Head on the difference of embeddings.", warnings=("Far from training.",),
    model={"weights": "esm2 sha256:" + "0" * 64},
)  # fmt: skip
RESIDUES = [("A", "protein", 52, "B", "R"), ("A", "protein", -3, "", "K"), ("A", "protein", 52, "", "W"),
            ("AA", "protein", 7, "", "X"), ("R", "rna", 5, "", "G")]  # fmt: skip


def demo_structure(root: Path, pdb_id: str) -> Structure:
    """An entry of the demo archive."""
    folder = root / "resources" / "demo" / "archive" / "structures" / "divided" / "mmCIF" / pdb_id[1:3]
    return read_structure(folder / f"{pdb_id}.cif.gz", pdb_id)


def predicted(structure: Structure, near_angstrom: float = 9.0, **changes: Any) -> tuple[Prediction, str]:
    """A prediction of a whole entry, fields changed as given, and the text of the structure that its page shows."""
    protein, rna, distance = residue_contacts(structure, near_angstrom)
    arrays = structure.arrays
    used = sorted({int(r) for r in (*protein, *rna)})
    place = {residue: i for i, residue in enumerate(used)}
    rng = np.random.default_rng(5)
    residues = []
    for r in used:
        residues.append(
            ResidueView(
                chain=structure.chain_ids[arrays["chain"][r]],
                number=int(arrays["auth_number"][r]),
                insertion_code=arrays["insertion_code"][r].decode(),
                name=arrays["residue_name"][r].decode(),
                letter=LETTERS[arrays["residue_type"][r]].decode(),
                is_protein=bool(arrays["residue_type"][r] < FIRST_RNA),
                partner_distance_angstrom=float(distance[(protein == r) | (rna == r)].min()),
                contribution_kcal_mol=float(rng.normal(0.3, 0.6)),
            )
        )
    contacts = tuple(
        (place[int(p)], place[int(n)], float(d))
        for p, n, d in zip(protein, rna, distance, strict=True)
        if d < CONTACT_ANGSTROM
    )
    chains = [[structure.chain_ids[i] for i in np.flatnonzero(structure.chain_is(kind))] for kind in (0, 1)]
    chosen = ChosenComplex(
        file=f"{structure.pdb_id}.cif.gz", file_sha256=structure.file_sha256,
        complex_id=f"{structure.pdb_id}:{','.join(chains[0])}:{','.join(chains[1])}",
        protein_chains=tuple(chains[0]), rna_chains=tuple(chains[1]), reason="All chains of the file touch.",
        other_copies=((("X",), ("Y", "Z")),), warnings=("Chain A lacks three residues.",),
    )  # fmt: skip
    dg, low, high = -10.42, -12.51, -8.33
    values: dict[str, Any] = {
        "chosen": chosen, "dg_kcal_mol": dg, "dg_low_kcal_mol": low, "dg_high_kcal_mol": high, "coverage": 0.9,
        "temperature_k": TEMPERATURE_K, "kd_molar": kd_from_dg(dg, TEMPERATURE_K),
        "kd_low_molar": kd_from_dg(low, TEMPERATURE_K), "kd_high_molar": kd_from_dg(high, TEMPERATURE_K),
        "members_dg_kcal_mol": (-10.1, -10.74), "warnings": ("No close relative was seen in training.",),
        "nearest_training": (("0aaa:A:R", 0.31, -9.5), ("0aab:A:R", 0.22, -8.0)),
        "training_dg_kcal_mol": tuple(np.random.default_rng(1).normal(-9.5, 1.5, 60).tolist()),
        "contribution_method": "change of the predicted dG when the residue is hidden",
        "residues": tuple(residues), "contacts": contacts, "model": MODEL,
    }  # fmt: skip
    return Prediction(**{**values, **changes}), shown_structure(structure, [*chains[0], *chains[1]])


def scan_table(residues: list = RESIDUES) -> pd.DataFrame:
    """Every substitution with a value that is its own."""
    rows = []
    for i, (chain, molecule, number, code, wild) in enumerate(residues):
        for j, letter in enumerate(SUBSTITUTIONS[molecule]):
            if letter != wild:
                rows.append((chain, molecule, number, code, wild, letter, round(-1.5 + 0.31 * i + 0.17 * j, 3)))
    return pd.DataFrame(rows, columns=list(SCAN_COLUMNS))
