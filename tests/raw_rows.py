"""The atom rows of a coordinate file, read column by column without any library: the oracle of what was handled."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import NamedTuple

TOKEN = re.compile(r"\"[^\"]*\"|'[^']*'(?=\s)|\S+")


class Row(NamedTuple):
    """One atom as the file has it; texts, empty where the file has none."""

    model: str
    record: str
    chain: str
    number: int
    insertion_code: str
    name: str
    atom: str
    alternative: str
    occupancy: float
    element: str
    in_polymer: bool

    @property
    def residue(self) -> tuple[str, int, str]:
        """Chain, number and insertion code."""
        return self.chain, self.number, self.insertion_code

    @property
    def is_heavy(self) -> bool:
        """Neither hydrogen nor deuterium."""
        return self.element not in ("H", "D")


def file_lines(folder: Path, pdb_id: str) -> list[str]:
    """The lines of an entry's gzipped file."""
    (path,) = (folder / "data" / "structures").glob(f"{pdb_id}.*")
    with gzip.open(path, "rt") as handle:
        return handle.read().splitlines()


def atom_rows(folder: Path, pdb_id: str) -> list[Row]:
    """Every atom row, of all models; in PDB format a polymer is what stands before its chain's TER."""
    lines = file_lines(folder, pdb_id)
    return cif_rows(lines) if any(line.startswith("_atom_site.") for line in lines) else pdb_rows(lines)


def cif_rows(lines: list[str]) -> list[Row]:
    names = [line.strip().removeprefix("_atom_site.") for line in lines if line.startswith("_atom_site.")]
    rows = []
    for line in lines:
        if line.startswith(("ATOM ", "HETATM")):
            words = [w if w not in (".", "?") else "" for w in TOKEN.findall(line + " ")]
            at = dict(zip(names, (w[1:-1] if w[:1] in "\"'" and len(w) > 1 else w for w in words), strict=True))
            rows.append(
                Row(
                    at.get("pdbx_PDB_model_num", "1"), at["group_PDB"], at["auth_asym_id"], int(at["auth_seq_id"]),
                    at["pdbx_PDB_ins_code"], at["label_comp_id"], at["label_atom_id"], at["label_alt_id"],
                    float(at["occupancy"]), at["type_symbol"], at["label_seq_id"] != "",
                )
            )  # fmt: skip
    return rows


def pdb_rows(lines: list[str]) -> list[Row]:
    rows, model, ended = [], "1", set()
    for line in lines:
        if line.startswith("MODEL"):
            model, ended = line[10:].strip(), set()
        elif line.startswith("TER"):
            ended.add(line[21:22])
        elif line.startswith(("ATOM", "HETATM")):
            rows.append(
                Row(
                    model, line[:6].strip(), line[21], int(line[22:26]), line[26].strip(), line[17:20].strip(),
                    line[12:16].strip(), line[16].strip(), float(line[54:60]), line[76:78].strip() or line[13],
                    line[21] not in ended and line[17:20] != "HOH",
                )
            )  # fmt: skip
    return rows
