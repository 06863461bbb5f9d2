"""Why an entry is set aside: the list of reason codes, the error that carries one, and what a file must keep to.

The limits are no science: they lie far beyond what any deposited entry holds, and are there so that a damaged file
costs neither the batch, nor time or memory that grow with the square of its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import numpy.typing as npt

from copra.errors import InputError

REASONS = {
    "not_fetched": "no file was brought for the entry",
    "not_a_file": "nothing is at the path, or nothing that can be read",
    "not_gzip": "the name ends in .gz, the content is not gzip data",
    "damaged_gzip": "the gzip data break off, fail their checksum, or have other bytes behind them",
    "too_large": "more text, or a larger alignment of a chain with its full sequence, than an entry can need",
    "not_a_coordinate_file": "the name or the text is not that of an mmCIF or PDB file",
    "missing_columns": "the atom table lacks a column that every mmCIF coordinate file has",
    "no_atoms": "the first model holds no atoms",
    "no_polymer": "no residue belongs to a protein or nucleic acid chain",
    "bad_identifiers": "a chain id, residue name, residue number or atom name that the tables cannot hold",
    "bad_coordinates": "a coordinate that is no number, or outside any plausible frame",
    "crowded_atoms": "more heavy atoms in one place than chemistry allows",
    "scattered_records": "the atoms of the chains lie in more pieces than any file has",
    "no_protein": "no protein chain",
    "no_rna": "no RNA or hybrid chain",
}

MAX_CHAIN_PIECES = 10_000  # gemmi joins the pieces of chains in a time that grows with their square
MAX_PIECE_RESIDUES = 40_000  # the same for finding the residue of an atom; titin, the longest protein, has 35,000
MAX_ALIGNMENT_CELLS = 200_000_000  # one byte each; a whole ribosome needs 13 million
MAX_COORDINATE_ANGSTROM = 1e5  # beyond, the 32-bit floats of the store are coarser than 0.01 angstrom
# Diamond has 22 atoms in a cube of 5 angstrom, the densest of 608 protein-RNA entries 21. More than 64 are chains
# that lie on one another. This also bounds the neighbour search: an atom has at most 27 x 64 others within the edge.
CROWDING_CELL_ANGSTROM = 5.0
MAX_HEAVY_ATOMS_PER_CELL = 64
LARGE_MODEL_ATOMS = 100_000  # from here on crowding is looked for before the slower steps as well

# Chain ids and residue names are joined with commas and colons, and chain ids stand in names of files: no separator,
# blank or control character. gemmi's flat arrays have places for seven letters.
IDENTIFIER = re.compile(r"[A-Za-z0-9_.+*'@#!$%=~^-]{1,7}")
ATOM_COLUMNS = (
    "id", "type_symbol", "label_alt_id", "label_asym_id", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
    "B_iso_or_equiv", "auth_seq_id", "auth_asym_id",
)  # fmt: skip
# of each of these at least one
NAME_COLUMNS = (("auth_comp_id", "label_comp_id"), ("auth_atom_id", "label_atom_id"))


def _beyond(width: int) -> np.uint64:
    """The bits of eight letters that a name of at most `width` ASCII letters leaves empty."""
    return np.uint64(np.frombuffer(b"\x80" * width + b"\xff" * (8 - width), dtype="<u8")[0])


# arrays of a FlatStructure and the bits that are not set in names that the tables hold whole
TOO_LONG_OR_NOT_ASCII = {"residue_names": _beyond(5), "atom_names": _beyond(4), "subchains": _beyond(7)}
NO_NUMBER = np.iinfo(np.int32).min  # what gemmi has for a residue without a number
DETAIL_LENGTH = 300


class Unreadable(InputError):
    """A coordinate file that is set aside; `reason` is a key of `REASONS`.

    The detail may hold text of the file and is therefore cut, and rid of what cannot be printed.
    """

    def __init__(self, path: Path, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        self.reason = reason
        super().__init__(f"{path}: {printable(detail, DETAIL_LENGTH)}")


def printable(text: str, length: int) -> str:
    """The first `length` letters of a text from a file, with blanks for what cannot be printed."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:length])


def check_columns(path: Path, block: gemmi.cif.Block) -> None:
    """Raise Unreadable where the atom table of an mmCIF block lacks a column.

    gemmi would find no atoms without most of them, and take label ids for author ids without auth_asym_id.
    """
    wanted = [(name,) for name in ATOM_COLUMNS] + list(NAME_COLUMNS)
    missing = [" or ".join(names) for names in wanted if not any(block.find_values(f"_atom_site.{n}") for n in names)]
    if missing:
        raise Unreadable(path, "missing_columns", f"expected the columns {', '.join(missing)} in _atom_site")


def check_pieces(path: Path, block: gemmi.cif.Block) -> None:
    """Raise Unreadable where the rows of one chain lie in too many pieces, or one piece has too many residues."""
    chains = block.find_values("_atom_site.auth_asym_id")
    if len(chains) <= MAX_CHAIN_PIECES:
        return
    sizes = [sum(1 for _ in rows) for _, rows in groupby(chains)]
    check_piece_count(path, len(sizes))
    if max(sizes) > MAX_PIECE_RESIDUES:
        numbers = groupby(zip(chains, block.find_values("_atom_site.auth_seq_id"), strict=True))
        most = max(sum(1 for _ in residues) for _, residues in groupby(numbers, key=lambda run: run[0][0]))
        if most > MAX_PIECE_RESIDUES:
            found = f"{most} runs of rows with one residue number in a chain"
            raise Unreadable(path, "scattered_records", f"expected at most {MAX_PIECE_RESIDUES}, found {found}")


def check_piece_count(path: Path, n_pieces: int) -> None:
    """Raise Unreadable where chains change too often from one atom to the next."""
    if n_pieces > MAX_CHAIN_PIECES:
        found = f"found {n_pieces} stretches of atoms with one chain id"
        raise Unreadable(path, "scattered_records", f"expected at most {MAX_CHAIN_PIECES}, {found}")


def check_alignments(path: Path, structure: gemmi.Structure) -> None:
    """Raise Unreadable where aligning the chains with their full sequences would take too much memory."""
    cells = 0
    for chain in structure[0]:
        polymer = chain.get_polymer()
        entity = structure.get_entity_of(polymer)
        cells += len(polymer) * len(entity.full_sequence) if entity is not None else 0
    if cells > MAX_ALIGNMENT_CELLS:
        found = f"found {cells} pairs of observed and listed residues in the chains"
        raise Unreadable(path, "too_large", f"expected at most {MAX_ALIGNMENT_CELLS}, {found}")


def check_coordinates(path: Path, flat: Any, wanted: npt.NDArray[np.bool_]) -> None:
    """Raise Unreadable where a `wanted` atom [A] of a FlatStructure is at no plausible place."""
    low, high = flat.pos.min(), flat.pos.max()
    if low >= -MAX_COORDINATE_ANGSTROM and high <= MAX_COORDINATE_ANGSTROM:  # false for NaN
        return
    bad = np.flatnonzero(wanted & ~are_plausible(flat.pos))
    if len(bad):
        numbers = ", ".join(f"{x:g}" for x in flat.pos[bad[0]])
        found = f"{len(bad)} of {np.count_nonzero(wanted)} atoms are elsewhere, first {_place(flat, bad[0])}"
        limit = f"expected coordinates within {MAX_COORDINATE_ANGSTROM:g} angstrom of the origin"
        raise Unreadable(path, "bad_coordinates", f"{limit}, {found} at ({numbers})")


def are_plausible(xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which places [A, 3] in angstrom are numbers within `MAX_COORDINATE_ANGSTROM` of the origin [A]."""
    return np.asarray((np.abs(xyz) <= MAX_COORDINATE_ANGSTROM).all(axis=1))


def check_names(path: Path, flat: Any, wanted: npt.NDArray[np.bool_]) -> None:
    """Raise Unreadable where a name of a `wanted` atom [A] of a FlatStructure is cut in the tables, or no ASCII."""
    texts = [(getattr(flat, name).view("<u8").ravel(), bits) for name, bits in TOO_LONG_OR_NOT_ASCII.items()]
    if flat.resnums.min() > NO_NUMBER and not any(np.bitwise_or.reduce(names) & bits for names, bits in texts):
        return
    bad = np.logical_or.reduce([flat.resnums == NO_NUMBER, *((names & bits) != 0 for names, bits in texts)])
    found = np.flatnonzero(wanted & bad)
    if len(found):
        limit = "expected residue numbers, and ASCII names of residues (5 letters), atoms (4) and label chains (7)"
        raise Unreadable(path, "bad_identifiers", f"{limit}, found {_place(flat, found[0])}")


def check_identifiers(path: Path, what: str, names: Iterable[str]) -> None:
    """Raise Unreadable where a name cannot stand in comma-joined lists."""
    for name in names:
        if not IDENTIFIER.fullmatch(name):
            limit = "1 to 7 letters, digits or marks other than separators"
            raise Unreadable(path, "bad_identifiers", f"expected {what} of {limit}, found {name!r}")


def check_crowding(path: Path, xyz: npt.NDArray[np.floating]) -> None:
    """Raise Unreadable where too many of the heavy atoms at `xyz` [A, 3], all plausible, lie in one cell."""
    if len(xyz) <= MAX_HEAVY_ATOMS_PER_CELL:
        return
    key = np.zeros(len(xyz), dtype=np.int64)  # the number of each atom's cell
    for axis in np.ascontiguousarray(xyz.T):
        cell = ((axis - axis.min()) * (1 / CROWDING_CELL_ANGSTROM)).astype(np.int64)
        key = key * (cell.max() + 1) + cell
    ordered = np.sort(key)
    if np.any(ordered[MAX_HEAVY_ATOMS_PER_CELL:] == ordered[:-MAX_HEAVY_ATOMS_PER_CELL]):
        cells, counts = np.unique(ordered, return_counts=True)
        near = ", ".join(f"{x:.3f}" for x in xyz[np.argmax(key == cells[counts.argmax()])])
        limit = f"expected at most {MAX_HEAVY_ATOMS_PER_CELL} heavy atoms in {CROWDING_CELL_ANGSTROM:g} angstrom cubed"
        raise Unreadable(path, "crowded_atoms", f"{limit}, found {counts.max()} near ({near})")


def _place(flat: Any, atom: int) -> str:
    """Chain, residue and name of an atom, as far as gemmi's flat arrays hold them."""
    names = (flat.chain_ids[atom], flat.residue_names[atom], flat.atom_names[atom])
    chain, residue, name = (n.tobytes().rstrip(b"\0").decode("ascii", errors="replace") for n in names)
    return f"chain {chain} residue {residue} {flat.resnums[atom]} atom {name}"
