"""Coordinate files (mmCIF or PDB format, gzipped or not) -> `Structure`.

Only the first model, only polymers, only heavy atoms, one conformer per residue; what was done is counted.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.conformers import POLYMER, ModelAtoms, backbone, select_atoms
from copra.structure.coordinate_file import Opened, open_file
from copra.structure.handled import count_features
from copra.structure.quarantine import (
    LARGE_MODEL_ATOMS,
    Unreadable,
    are_plausible,
    check_alignments,
    check_coordinates,
    check_crowding,
    check_identifiers,
    check_names,
    printable,
)
from copra.structure.residues import ALIASES, ATOM_ARRAYS, RESIDUE_ARRAYS, Structure, residue
from copra.structure.sequence import Chain, Monomers, describe_chain

HYDROGEN = 1  # atomic number, also of deuterium; 0 where the element is not known
METHOD_LENGTH = 100  # two methods of the dictionary fit in


def read_structure(path: Path, pdb_id: str) -> Structure:
    """Read one coordinate file.

    Raises `Unreadable`, an InputError with the file's name and a reason of `quarantine.REASONS`, when it is not
    there, not readable as its ending says, holds no polymer residue, or values that no such file can have.
    """
    opened = open_file(path)
    structure = opened.structure
    handled: Counter[str] = Counter()
    n_models = len(structure)
    n_atoms = structure[0].count_atom_sites() if n_models else 0
    if not n_atoms:
        raise Unreadable(path, "no_atoms", "expected at least one model with atoms, found none")
    if n_models > 1:
        handled["models"] = n_models - 1
        del structure[1:]
    if n_atoms > LARGE_MODEL_ATOMS:
        _check_large_model(path, structure)
    _prepare(path, structure, handled)
    flat = _flat(path, structure)
    wanted = (flat.entity_type == POLYMER) & (flat.elements != HYDROGEN)
    check_coordinates(path, flat, wanted)
    check_names(path, flat, wanted)
    atoms = select_atoms(structure[0], flat, handled)
    if not len(atoms.residue):
        raise Unreadable(path, "no_polymer", "expected polymer residues, found none")
    check_crowding(path, atoms.xyz)
    check_identifiers(path, "residue names", _texts(atoms.name))
    check_identifiers(path, "label chain ids", filter(None, _texts(atoms.subchain)))
    chains = _describe_chains(opened, atoms, handled)
    if not chains:
        raise Unreadable(path, "no_polymer", "expected protein or nucleic acid chains, found other polymers only")
    check_identifiers(path, "chain ids", [chain.chain_id for chain in chains])
    return _assemble(pdb_id, opened, n_models, atoms, chains, handled)


def _flat(path: Path, structure: gemmi.Structure) -> gemmi.FlatStructure:
    """The atoms as arrays, with places for names of seven letters."""
    try:
        return gemmi.FlatStructure(structure)
    except RuntimeError as error:
        raise Unreadable(path, "bad_identifiers", f"expected names of up to seven letters: {error}") from error


def _texts(names: npt.NDArray[np.bytes_]) -> list[str]:
    """The different ones."""
    return sorted(name.decode() for name in set(names.tolist()))


def _check_large_model(path: Path, structure: gemmi.Structure) -> None:
    """Look for crowded atoms before the steps that take long, alternative locations each for themselves."""
    flat = _flat(path, structure)
    wanted = (flat.elements != HYDROGEN) & are_plausible(flat.pos)
    for letter in np.unique(flat.altlocs[wanted]):
        check_crowding(path, flat.pos[wanted & (flat.altlocs == letter)])


def _describe_chains(opened: Opened, atoms: ModelAtoms, handled: Counter[str]) -> list[Chain]:
    """The protein and nucleic acid chains; `atoms` stand chain by chain."""
    monomers = Monomers(opened.structure, opened.canonical)
    model = opened.structure[0]
    bounds = np.searchsorted(atoms.chain, np.arange(len(model) + 1))
    chains = []
    for chain, first, last in zip(model, bounds[:-1], bounds[1:], strict=True):
        if first < last:
            rows = _in_polymer_order(np.arange(first, last), atoms, handled)
            chains.append(describe_chain(chain.name, rows, atoms, monomers, handled))
    return [chain for chain in chains if chain is not None]


def _in_polymer_order(rows: npt.NDArray[np.int64], atoms: ModelAtoms, handled: Counter[str]) -> npt.NDArray[np.int64]:
    """The residues of one chain by their label_seq_id, where the file has another order; the rows of an mmCIF table
    need not have any."""
    labels, label_seq = atoms.subchain[rows], atoms.label_seq[rows]
    ascends = (label_seq[1:] >= label_seq[:-1]) | (labels[1:] != labels[:-1])
    if ascends.all() or label_seq.min() < 1:
        return rows
    handled["reordered_chains"] += 1
    first_of_label = {label: i for i, label in reversed(list(enumerate(labels.tolist())))}
    return rows[np.lexsort((label_seq, [first_of_label[label] for label in labels.tolist()]))]


def _prepare(path: Path, structure: gemmi.Structure, handled: Counter[str]) -> None:
    """Complete what the file leaves open: one chain per author id, entities, places in the full sequence."""
    structure.merge_chain_parts()
    has_entities = any(e.entity_type == gemmi.EntityType.Polymer for e in structure.entities)
    all_named = has_entities and bool(_flat(path, structure).entity_type.all())
    for chain in structure[0]:
        if not all_named and (not has_entities or any(p.entity_type == gemmi.EntityType.Unknown for p in chain)):
            for part in chain:
                _name_part(part, handled)
            _polymer_first(chain, handled)
    if structure.input_format == gemmi.CoorFormat.Pdb or not has_entities:
        structure.setup_entities()
        check_alignments(path, structure)
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
    rows = np.concatenate([c.rows for c in chains])
    is_protein = np.zeros(len(atoms.name), dtype=bool)
    for chain in chains:
        is_protein[chain.rows] = chain.molecule_type == "protein"
    xyz, mask = backbone(atoms, is_protein)
    values: dict[str, npt.NDArray] = {
        "chain": np.repeat(np.arange(len(chains)), [len(c.rows) for c in chains]),
        "residue_name": atoms.name[rows],
        "residue_type": np.concatenate([c.residue_type for c in chains]),
        "polymer_index": np.concatenate([c.polymer_index for c in chains]),
        "auth_number": atoms.number[rows],
        "insertion_code": atoms.insertion_code[rows],
        "modified": np.concatenate([c.modified for c in chains]),
        "deoxy": np.concatenate([c.deoxy for c in chains]),
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
    count_features(values, chains, handled)
    structure = opened.structure
    return Structure(
        pdb_id=pdb_id,
        file_sha256=opened.file_sha256,
        method=printable(dict(structure.info).get("_exptl.method", ""), METHOD_LENGTH),
        resolution_angstrom=float(structure.resolution) if 0 < structure.resolution < math.inf else None,
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
