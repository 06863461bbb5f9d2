"""PDBbind's index of protein-nucleic-acid complexes: one line per entry.

    code  resolution|NMR  year  binding  // reference.pdf (bracket) comment

In v2018 the bracket names the nucleic acid; in v2020R1 it holds `protein chains|nucleic-acid chains`, one
character each. Only the fourth field is the entry's value; a comment may hold values of other molecules. The
value belongs to the construct in the crystal, so its `mutation` is empty even where the crystal holds a mutant.
The index states neither temperature nor pH.
"""

from __future__ import annotations

import re
from pathlib import Path

from copra.errors import InputError
from copra.parse.affinity_text import parse_affinity_text
from copra.parse.cells import Measured, Row, chains_of_letters, joined, pdb_id_of, read_lines
from copra.parse.reasons import NotUnderstood

_LINE = re.compile(r"\s*(\S+)\s+(\S+)\s+(\d{4})\s+(\S+)\s+//\s*(\S+)\s*(.*)")
_CHAINS = re.compile(r"([A-Za-z0-9]+)\|([A-Za-z0-9]+)")
# words in which RNA or DNA belongs to the name of a protein or a method
_NAMES = re.compile(
    r"(?:RNA|DNA)[- ]?(?:polymerase|binding|depend\w*|direct\w*|guided|ligase|helicase|replicase)", re.I
)
_RNA = re.compile(r"(?<![A-Za-z])[A-Za-z]{0,3}RNAs?(?![A-Za-z])|ribonucle(?:ic|otide)", re.I)
_DNA = re.compile(r"(?<![A-Za-z])[A-Za-z]{0,3}DNAs?(?![A-Za-z])|deoxy", re.I)


def read_rows(path: Path) -> list[Row]:
    """The data lines; comment lines (`#`) and empty lines are not rows. Raises InputError for another file."""
    rows = [
        Row(number, line, {"line": line})
        for number, line in enumerate((line.rstrip("\r\n") for line in read_lines(path)), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not any(_LINE.fullmatch(row.raw_text) for row in rows):
        raise InputError(f"{path}: no line reads `code resolution year binding // reference`: not a PDBbind index")
    return rows


def read_measured(row: Row) -> list[Measured]:
    """The one value of a line; raises NotUnderstood."""
    match = _LINE.fullmatch(row.raw_text)
    if not match:
        raise NotUnderstood("bad_line", "expected `code resolution year binding // reference (bracket) comment`")
    code, _, _, binding, reference, rest = match.groups()
    pdb_id = pdb_id_of(code)
    affinity = parse_affinity_text(binding, quantity=None)
    bracket, comment = split_bracket(rest)
    protein_chains, rna_chains = _chains(bracket)
    words = comment if protein_chains else joined(bracket, comment)
    return [
        Measured(
            pdb_id, protein_chains, rna_chains, affinity.quantity, affinity.relation, affinity.value_molar, "M",
            affinity.uncertainty_molar, None, None, "", "", "", _nucleic_acid(bracket, comment), affinity.rule,
            joined(f"reference:{reference}", words),
        )
    ]  # fmt: skip


def split_bracket(text: str) -> tuple[str, str]:
    """The content of the leading bracket, which may hold brackets itself, and what follows it."""
    text = text.strip()
    if not text.startswith("("):
        return "", text
    depth = 0
    for position, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text[1:position].strip(), text[position + 1 :].strip()
    return "", text


def _chains(bracket: str) -> tuple[str, str]:
    match = _CHAINS.fullmatch(bracket)
    if not match:
        return "", ""
    return chains_of_letters(match.group(1))[0], chains_of_letters(match.group(2))[0]


def _nucleic_acid(bracket: str, comment: str) -> str:
    """RNA or DNA where the bracket, or else the comment, names one of them and not the other; else empty."""
    for text in (bracket, comment):
        text = _NAMES.sub(" ", text)
        named = [name for name, pattern in (("RNA", _RNA), ("DNA", _DNA)) if pattern.search(text)]
        if named:
            return named[0] if len(named) == 1 else ""
    return ""
