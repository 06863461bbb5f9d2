"""Coordinate files (mmCIF or PDB format, gzipped or not) -> `Structure`.

Only the first model, only polymers, only heavy atoms, one conformer per residue; what was done is counted.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.structure.conformers import ModelAtoms, backbone, select_atoms
from copra.structure.residues import ALIASES, ATOM_ARRAYS, RESIDUE_ARRAYS, Structure, residue
from copra.structure.sequence import Chain, Monomers, describe_chain, residue_codes

FORMATS = (".cif.gz", ".pdb.gz", ".cif", ".pdb")
PDB_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass
class Opened:
    """A parsed file before its atoms are looked at."""

    structure: gemmi.Structure
    release_date: str
    canonical: dict[str, str]  # entity name -> one-letter sequence of parents, as the file gives it
    file_sha256: str


def read_structure(path: Path, pdb_id: str) -> Structure:
    """Read one coordinate file.

    Raises InputError, with the file's name, when it is not there, not readable as its ending says, or holds no
    polymer residue.
    """
    opened = _open(path)
    structure = opened.structure
    handled: Counter[str] = Counter()
    n_models = len(structure)
    if not n_models or not structure[0].count_atom_sites():
        raise InputError(f"{path}: expected at least one model with atoms, found none")
    if n_models > 1:
        handled["models"] = n_models
        del structure[1:]
    _prepare(structure, handled)
    atoms = select_atoms(structure[0], gemmi.FlatStructure(structure), handled)
    if not len(atoms.residue):
        raise InputError(f"{path}: expected polymer residues, found none")
    monomers = Monomers(structure, opened.canonical)
    chains = [
        describe_chain(structure[0][int(i)].name, np.flatnonzero(atoms.chain == i), atoms, monomers, handled)
        for i in np.unique(atoms.chain)
    ]
    return _assemble(pdb_id, opened, n_models, atoms, [c for c in chains if c is not None], handled)


def _open(path: Path) -> Opened:
    if not path.name.lower().endswith(FORMATS):
        raise InputError(f"{path}: expected a name ending in one of {', '.join(FORMATS)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        if path.name.lower().endswith(".gz"):
            data = gzip.decompress(data)
        text = data.decode("utf-8", errors="replace")
        if ".cif" in path.name.lower():
            return _open_cif(text, sha256)
        structure = gemmi.read_pdb_string(text)
        return Opened(structure, _pdb_release_date(text), {}, sha256)
    except (ValueError, RuntimeError, IndexError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: not a readable coordinate file: {error}") from error


def _open_cif(text: str, sha256: str) -> Opened:
    document = gemmi.cif.read_string(text)
    block = next((b for b in document if b.find_values("_atom_site.Cartn_x")), None)
    if block is None:
        raise ValueError("no data block with _atom_site")
    canonical = {}
    for entity, letters in block.find("_entity_poly.", ["entity_id", "pdbx_seq_one_letter_code_can"]):
        canonical[gemmi.cif.as_string(entity)] = re.sub(r"\s", "", gemmi.cif.as_string(letters))
    dates = [gemmi.cif.as_string(d) for d in block.find_values("_pdbx_audit_revision_history.revision_date")]
    return Opened(gemmi.make_structure_from_block(block), min(dates, default=""), canonical, sha256)


def _pdb_release_date(text: str) -> str:
    """The date of REVDAT 1, the release, as yyyy-mm-dd; "" where the file does not tell."""
    found = re.search(r"^REVDAT   1   (\d\d)-([A-Z]{3})-(\d\d) ", text[: text.find("\nATOM")], flags=re.MULTILINE)
    if not found or found[2] not in PDB_MONTHS:
        return ""
    year = int(found[3])
    return f"{1900 + year if year > 70 else 2000 + year}-{PDB_MONTHS.index(found[2]) + 1:02d}-{found[1]}"


def _prepare(structure: gemmi.Structure, handled: Counter[str]) -> None:
    """Complete what the file leaves open: one chain per author id, entities, places in the full sequence."""
    structure.merge_chain_parts()
    has_entities = any(e.entity_type == gemmi.EntityType.Polymer for e in structure.entities)
    for chain in structure[0]:
        if not has_entities or any(part.entity_type == gemmi.EntityType.Unknown for part in chain):
            for part in chain:
                _name_part(part, handled)
            _polymer_first(chain, handled)
    if structure.input_format == gemmi.CoorFormat.Pdb or not has_entities:
        structure.setup_entities()
        structure.assign_label_seq_id()


def _name_part(part: gemmi.Residue, handled: Counter[str]) -> None:
    """Say whether a residue belongs to a polymer where the file does not tell (no entities, no usable TER).

    gemmi would end the polymer at the first water, but such files may hold waters in front of or inside a chain.
    """
    if part.name in ALIASES:
        part.name = ALIASES[part.name]
        handled["renamed_residues"] += 1
    known = residue(part.name)
    is_ligand = part.het_flag == "H" and (known.standard or not known.kind)
    atoms = {atom.name.replace("*", "'") for atom in part} if not known.kind else set()
    if part.is_water():
        part.entity_type = gemmi.EntityType.Water
    elif not is_ligand and (known.kind or {"N", "CA", "C"} <= atoms or {"C1'", "C4'"} <= atoms):
        part.entity_type = gemmi.EntityType.Polymer
    else:
        part.entity_type = gemmi.EntityType.NonPolymer


def _polymer_first(chain: gemmi.Chain, handled: Counter[str]) -> None:
    """Put what is no polymer behind the polymer, where it stands before or in it; gemmi aligns one stretch only."""
    is_polymer = [part.entity_type == gemmi.EntityType.Polymer for part in chain]
    if is_polymer == sorted(is_polymer, reverse=True):
        return
    parts = [part.clone() for part in chain]
    while len(chain):
        del chain[-1]
    for wanted in (True, False):
        for part, polymer in zip(parts, is_polymer, strict=True):
            if polymer == wanted:
                chain.add_residue(part)
    handled["reordered_chains"] += 1


def _assemble(
    pdb_id: str, opened: Opened, n_models: int, atoms: ModelAtoms, chains: list[Chain], handled: Counter[str]
) -> Structure:
    """Put the chains' residues one after another and their atoms after them."""
    if not chains:
        raise InputError(f"{pdb_id}: expected protein or nucleic acid chains, found other polymers only")
    rows = np.concatenate([c.rows for c in chains])
    is_protein = np.zeros(len(atoms.name), dtype=bool)
    for chain in chains:
        is_protein[chain.rows] = chain.molecule_type == "protein"
    codes = residue_codes(atoms.name, is_protein, np.concatenate([c.letters for c in chains]), rows)
    xyz, mask = backbone(atoms, is_protein)
    values: dict[str, npt.NDArray] = {
        "chain": np.repeat(np.arange(len(chains)), [len(c.rows) for c in chains]),
        "residue_name": atoms.name[rows],
        "residue_type": codes.residue_type,
        "polymer_index": np.concatenate([c.polymer_index for c in chains]),
        "auth_number": atoms.number[rows],
        "insertion_code": atoms.insertion_code[rows],
        "modified": codes.modified,
        "deoxy": codes.deoxy | np.concatenate([np.full(len(c.rows), c.deoxy_by_atoms) for c in chains]),
        "backbone_xyz_angstrom": xyz[rows],
        "backbone_mask": mask[rows],
    }
    sizes = np.bincount(atoms.residue, minlength=len(atoms.name))
    starts = np.cumsum(sizes) - sizes
    offsets = np.concatenate([[0], np.cumsum(sizes[rows])]).astype(np.int64)
    order = np.repeat(starts[rows] - offsets[:-1], sizes[rows]) + np.arange(offsets[-1])
    values |= {
        "atom_xyz_angstrom": atoms.xyz[order], "atom_name": atoms.atom_name[order], "atom_element": atoms.element[order]
    }  # fmt: skip
    handled["modified"] += int(np.count_nonzero(codes.modified))
    handled["unknown_residues"] += int(np.count_nonzero(codes.unknown))
    hybrid = np.array([c.molecule_type == "hybrid" for c in chains])[values["chain"]]
    handled["deoxy_in_hybrid"] += int(np.count_nonzero(values["deoxy"] & hybrid))
    structure = opened.structure
    return Structure(
        pdb_id=pdb_id,
        file_sha256=opened.file_sha256,
        method=dict(structure.info).get("_exptl.method", ""),
        resolution_angstrom=float(structure.resolution) if structure.resolution > 0 else None,
        release_date=opened.release_date,
        n_models=n_models,
        handled={name: count for name, count in sorted(handled.items()) if count},
        chain_ids=tuple(c.chain_id for c in chains),
        label_chains=tuple(c.label_chains for c in chains),
        molecule_types=tuple(c.molecule_type for c in chains),
        sequences=tuple(c.sequence for c in chains),
        sequence_origins=tuple(c.sequence_origin for c in chains),
        arrays={n: values[n].astype(kind) for n, (kind, _) in {**RESIDUE_ARRAYS, **ATOM_ARRAYS}.items()},
        atom_offsets=offsets,
    )
