"""The heat map of a mutation scan, residues x substitutions, as a self-contained HTML page and as a PNG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from copra.errors import InputError
from copra.evaluate.html import render
from copra.files import replacing
from copra.predict import figures
from copra.predict.page import content_policy, in_script, json_in_script, weights_notices

FOLDER = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = (FOLDER / name for name in ("scan_page.html.j2", "scan_page.css", "scan_script.js.j2"))

# The table of a scan: one row per substitution. The wild type itself has no row.
SCAN_COLUMNS = {
    "chain": "author chain",
    "molecule": "protein or rna",
    "number": "author number, a whole number",
    "insertion_code": "empty where there is none",
    "wild_type": "one letter; X or N for a residue that has none",
    "mutant": "one letter of LETTERS",
    "ddg_kcal_mol": "dG(mutant) - dG(wild type), positive binds more weakly; missing where it could not be computed",
}
# Substitutions in the order in which they are shown: alike side by side
LETTERS = {"protein": "GAVLIMPFWYCSTNQHKRDE", "rna": "ACGU"}
UNKNOWN = {"protein": "X", "rna": "N"}
COLOURS_END_AT_PERCENTILE = 98.0
COARSE_KCAL_MOL = 1.0  # from this limit of the colours on one decimal tells the cells apart


@dataclass(frozen=True)
class ScanAbout:
    """What a scan's page says beside the numbers."""

    complex_id: str
    file: str
    file_sha256: str
    dg_kcal_mol: float  # of the wild type
    temperature_k: float
    method: str  # one sentence: how ddG was computed
    warnings: tuple[str, ...]
    model: dict[str, str] = field(default_factory=dict)  # as in Prediction


@dataclass(frozen=True)
class ScanRow:
    """One residue and its ddG in kcal/mol by mutant letter; a letter that was not scanned is missing."""

    chain: str
    number: int
    insertion_code: str
    wild_type: str
    ddg_kcal_mol: dict[str, float]

    @property
    def name(self) -> str:
        """Wild type and author number, as R52 or K80A with an insertion code."""
        return f"{self.wild_type}{self.number}{self.insertion_code}"

    @property
    def mean_kcal_mol(self) -> float:
        """Mean over the substitutions that have a value; NaN where none has."""
        values = [value for value in self.ddg_kcal_mol.values() if math.isfinite(value)]
        # fsum: the same for every order of the table's rows
        return math.fsum(values) / len(values) if values else math.nan


@dataclass(frozen=True)
class ScanBlock:
    """The rows of one molecule type, by chain, number and insertion code."""

    molecule: str
    letters: str
    rows: tuple[ScanRow, ...]

    @property
    def title(self) -> str:
        """Its name for the reader."""
        return {"protein": "Protein", "rna": "RNA"}[self.molecule]

    @property
    def several_chains(self) -> bool:
        """Whether names need their chain."""
        return len({row.chain for row in self.rows}) > 1


def scan_blocks(scan: pd.DataFrame) -> list[ScanBlock]:
    """The table of a scan as blocks, protein first; the same whatever the order of its rows.

    Raises InputError for a missing column, an unknown molecule or letter, a mutant that is the wild type, a residue
    with two wild types, a substitution that stands there twice, and a table without rows.
    """
    if missing := [name for name in SCAN_COLUMNS if name not in scan.columns]:
        raise InputError(f"table of a scan: found no column {', '.join(missing)}, expected {', '.join(SCAN_COLUMNS)}")
    residues: dict[tuple[str, str, int, str], ScanRow] = {}
    for row in scan[list(SCAN_COLUMNS)].itertuples(index=False):
        _add(residues, *row)
    if not residues:
        raise InputError("table of a scan: found no row, expected at least one substitution")
    blocks = []
    for molecule, letters in LETTERS.items():
        rows = tuple(residues[key] for key in sorted(residues) if key[0] == molecule)
        if rows:
            blocks.append(ScanBlock(molecule, letters, rows))
    return blocks


def _add(
    residues: dict[tuple[str, str, int, str], ScanRow], chain: str, molecule: str, number: int, insertion_code: str,
    wild_type: str, mutant: str, ddg_kcal_mol: float,
) -> None:  # fmt: skip
    where = f"table of a scan: {chain}:{wild_type}{number}{insertion_code}{mutant}"
    if molecule not in LETTERS:
        raise InputError(f"{where}: found the molecule {molecule!r}, expected {' or '.join(LETTERS)}")
    letters = LETTERS[molecule]
    if mutant not in letters or len(mutant) != 1 or wild_type not in (*letters, UNKNOWN[molecule]):
        raise InputError(f"{where}: expected letters of {letters} and a wild type of them or {UNKNOWN[molecule]}")
    if mutant == wild_type:
        raise InputError(f"{where}: found the wild type as its own mutant, expected no row for it")
    key = (molecule, str(chain), int(number), str(insertion_code).strip())
    row = residues.setdefault(key, ScanRow(key[1], key[2], key[3], wild_type, {}))
    if row.wild_type != wild_type:
        raise InputError(f"{where}: found the wild types {row.wild_type} and {wild_type}, expected one")
    if mutant in row.ddg_kcal_mol:
        raise InputError(f"{where}: found this substitution twice, expected it once")
    value = math.nan if pd.isna(ddg_kcal_mol) else float(ddg_kcal_mol)
    row.ddg_kcal_mol[mutant] = value if math.isfinite(value) else math.nan


def colour_limit(blocks: Sequence[ScanBlock]) -> float:
    """ddG in kcal/mol at which the colours end, the same for page and picture."""
    values = [value for block in blocks for row in block.rows for value in row.ddg_kcal_mol.values()]
    return figures.colour_limit(values, COLOURS_END_AT_PERCENTILE)


def cell_digits(limit: float) -> int:
    """Decimals of the values in the cells where the colours end at `limit` kcal/mol."""
    return 1 if limit >= COARSE_KCAL_MOL else 2


def write_scan_page(scan: pd.DataFrame, about: ScanAbout, out: Path) -> None:
    """Write the page of a scan; `scan` has `SCAN_COLUMNS`.

    The heat map is an HTML table that needs no script; with it a residue can be picked and its substitutions sorted.
    Raises InputError as `scan_blocks`.
    """
    blocks = scan_blocks(scan)
    limit = colour_limit(blocks)
    script = in_script(SCRIPT.read_text(encoding="utf-8"))
    counts = [len(row.ddg_kcal_mol) for block in blocks for row in block.rows]
    notices = [*weights_notices(about.model), *about.warnings]
    if any(block.molecule == "rna" for block in blocks):
        notices.append("Substitutions of nucleotides are experimental.")
    page = render(
        TEMPLATE, page_style=Markup(STYLE.read_text(encoding="utf-8")), policy=content_policy([script]),
        script=Markup(script),
        data=Markup(json_in_script(_page_data(blocks, limit))), about=about, notices=list(dict.fromkeys(notices)),
        dg=figures.signed(about.dg_kcal_mol, 2), temperature_k=f"{about.temperature_k:.6g}",
        legend=figures.legend(limit, cell_digits(limit)), limit=f"{limit:.{cell_digits(limit)}f}",
        n_residues=len(counts), n_substitutions=sum(counts),
        blocks=[_shown_block(block, limit) for block in blocks],
    )  # fmt: skip
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _page_data(blocks: list[ScanBlock], limit: float) -> list[dict[str, Any]]:
    """Per residue, in the order of the page: name and substitutions (letter, text, colour), weakest binding first."""
    return [
        {
            "name": row.name,
            "chain": row.chain,
            "substitutions": [
                [mutant, figures.signed(value, 2), figures.diverging(value, limit)]
                for mutant, value in sorted(row.ddg_kcal_mol.items(), key=_weakest_first)
            ],
        }
        for block in blocks
        for row in block.rows
    ]


def _weakest_first(item: tuple[str, float]) -> tuple[bool, float, str]:
    letter, value = item
    return (math.isnan(value), 0.0 if math.isnan(value) else -value, letter)


def _shown_block(block: ScanBlock, limit: float) -> dict[str, Any]:
    rows = []
    for row in block.rows:
        cells = []
        for letter in block.letters:
            if letter == row.wild_type:
                cells.append({"kind": "wild", "text": letter, "title": f"{row.name}: wild type"})
            elif math.isfinite(value := row.ddg_kcal_mol.get(letter, math.nan)):
                colour = figures.diverging(value, limit)
                title = f"{row.chain}:{row.name}{letter}  {figures.signed(value, 2)} kcal/mol"
                cells.append(
                    {
                        "kind": "value", "text": figures.signed(value, cell_digits(limit)), "title": title,
                        "colour": colour, "ink": figures.text_colour(colour),
                    }
                )  # fmt: skip
            else:
                cells.append({"kind": "none", "text": "", "title": f"{row.chain}:{row.name}{letter}  not computed"})
        name = f"{row.chain}:{row.name}" if block.several_chains else row.name
        rows.append({"name": name, "cells": cells, "mean": figures.signed(row.mean_kcal_mol, 2)})
    chains = sorted({row.chain for row in block.rows})
    return {"title": block.title, "chains": ", ".join(chains), "letters": block.letters, "rows": rows}
