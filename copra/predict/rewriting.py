"""Copies of coordinate files with what their program left out: chain ids, columns, one model of several."""

from __future__ import annotations

import string
from collections.abc import Iterator
from itertools import chain as joined
from itertools import product

import gemmi

from copra.structure.quarantine import ATOM_COLUMNS, IDENTIFIER
from copra.structure.residues import ALIASES, residue

CHAIN_COLUMNS = slice(20, 22)  # of a PDB line; the first is used for ids of two letters only
LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
ATOM_SITE = "_atom_site."
# where a column of the atom table comes from when it is not there: another column, else a value
INSTEAD = {
    "auth_seq_id": ("label_seq_id", "?"), "auth_asym_id": ("label_asym_id", "A"),
    "label_asym_id": ("auth_asym_id", "A"), "label_alt_id": ("", "."),
    "occupancy": ("", "1.00"), "B_iso_or_equiv": ("", "0.00"), "type_symbol": ("", "?"),
}  # fmt: skip


def one_model(text: bytes, is_cif: bool, model: int) -> bytes:
    """The text with one of its models only, counted from 1 in the order of the file."""
    if is_cif:
        document, block = _atoms_block(text)
        numbers = [*block.find_values(ATOM_SITE + "pdbx_PDB_model_num")]
        wanted = list(dict.fromkeys(numbers))[model - 1]
        loop = block.find_values(ATOM_SITE + "Cartn_x").get_loop()
        columns = [[*block.find_values(tag)] for tag in loop.tags]
        loop.set_all_values([[v for v, n in zip(c, numbers, strict=True) if n == wanted] for c in columns])
        return document.as_string().encode()
    kept, at = [], 0
    inside = False
    for line in text.splitlines(keepends=True):
        record = line[:6].rstrip()
        if record == b"MODEL" or (record in (b"ATOM", b"HETATM") and not inside):
            at, inside = at + 1, True
        if record not in (b"MODEL", b"ENDMDL") and (not inside or at == model):
            kept.append(line)
        if record == b"ENDMDL":
            inside = False
    return b"".join(kept)


def with_all_columns(text: bytes, is_cif: bool) -> bytes:
    """mmCIF text with the columns that every reader wants, as far as others can stand in for them."""
    assert is_cif
    document, block = _atoms_block(text)
    loop = block.find_values(ATOM_SITE + "Cartn_x").get_loop()
    if loop is None:
        return text
    columns = {tag.removeprefix(ATOM_SITE): [*block.find_values(tag)] for tag in loop.tags}
    n_rows = loop.length()
    for name in ATOM_COLUMNS:
        if name in columns:
            continue
        source, value = INSTEAD.get(name, ("", ""))
        if name == "id":
            columns[name] = [str(i + 1) for i in range(n_rows)]
        elif name == "type_symbol":
            names = columns.get("label_atom_id") or columns.get("auth_atom_id") or []
            columns[name] = [_element(atom) for atom in names]
        elif source in columns or value:
            columns[name] = columns.get(source, [value] * n_rows)
    if any(len(values) != n_rows for values in columns.values()):
        return text
    loop.add_columns([ATOM_SITE + name for name in columns if ATOM_SITE + name not in loop.tags], "?")
    loop.set_all_values([columns[tag.removeprefix(ATOM_SITE)] for tag in loop.tags])
    return document.as_string().encode()


def _element(atom_name: str) -> str:
    """The element of a polymer's atom by its name; the first letter, as H C N O S P are all that stands there."""
    letters = gemmi.cif.as_string(atom_name).lstrip(string.digits)
    return "SE" if letters.upper().startswith("SE") else letters[:1].upper() or "?"


def _atoms_block(text: bytes) -> tuple[gemmi.cif.Document, gemmi.cif.Block]:
    document = gemmi.cif.read_string(text.decode("utf-8", errors="replace"))
    return document, next(b for b in document if len(b.find_mmcif_category(ATOM_SITE)))


def with_own_chains(text: bytes, is_cif: bool) -> bytes:
    """PDB text in which each chain has an id and holds one kind of polymer.

    Atoms without an id are parted at TER, at a change between protein and nucleic acid, and where the residue
    numbers fall; atoms with an id at a change of kind only, and the first kind keeps the id. Waters and ligands stay
    with what stands before them.
    """
    assert not is_cif
    lines = text.splitlines(keepends=True)
    taken = {_chain_id(line) for line in lines if _is_atom(line)}
    given: dict[tuple[str, str, int], str] = {}
    owner: dict[str, tuple[str, str, int]] = {}
    kinds: dict[str, str] = {}  # chain id -> kind of its last polymer residue
    part, number = 0, -(10**9)
    for i, line in enumerate(lines):
        record = line[:6].rstrip()
        if record in (b"TER", b"MODEL", b"ENDMDL"):
            part, number = (0 if record != b"TER" else part + 1), -(10**9)
            kinds.pop("", None)
        if not _is_atom(line):
            continue
        chain = _chain_id(line) if IDENTIFIER.fullmatch(_chain_id(line)) else ""
        kind = kinds.get(chain, "")
        here, now = _kind(line) or kind, _number(line, number)
        if not chain:
            part += int(bool(kind) and (here != kind or now < number))
            number = now
        kinds[chain] = here
        key = (chain, "" if not chain else here, part if not chain else 0)
        if key not in given:
            is_free = chain and chain not in owner
            given[key] = chain if is_free else _free_letter(taken | set(given.values()))
            owner.setdefault(given[key], key)
        lines[i] = line[:20] + given[key].rjust(2).encode() + line[22:]
    return b"".join(line for line in lines if line[:6] != b"SEQRES")


def _is_atom(line: bytes) -> bool:
    return line.startswith((b"ATOM  ", b"HETATM"))


def _chain_id(line: bytes) -> str:
    return line[CHAIN_COLUMNS].decode("latin-1").strip()


def _kind(line: bytes) -> str:
    """protein, nucleic, or "" where the residue is neither: it stays with what stands before it."""
    name = line[17:20].decode("latin-1").strip()
    kind = residue(ALIASES.get(name, name)).kind
    if line.startswith(b"HETATM") and residue(name).standard:
        return ""  # a free amino acid or nucleotide
    return "nucleic" if kind in ("rna", "dna") else kind


def _number(line: bytes, before: int) -> int:
    try:
        return int(line[22:26])
    except ValueError:
        return before


def _free_letter(taken: set[str]) -> str:
    """The first id of one letter, or of two, that no chain has; a file holds fewer chains than there are."""
    return next(name for name in map("".join, _names()) if name not in taken)


def _names() -> Iterator[tuple[str, ...]]:
    """A, B ... 9, AA, AB ..."""
    return joined(product(LETTERS), product(LETTERS, repeat=2))
