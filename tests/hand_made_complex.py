"""Complexes put together atom by atom, for tests that count by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import gemmi
import numpy as np

from copra.structure.residues import ATOM_ARRAYS, RESIDUE_ARRAYS, Structure, residue, type_index

Atoms = dict[str, tuple[float, float, float]]
BACKBONES = {"protein": ("N", "CA", "C", "O"), "rna": ("P", "C4'", "C1'", "N9")}


def hand_made(chains: dict[str, list[tuple[str, Atoms]]], kinds: dict[str, str], pdb_id: str = "9abc") -> Structure:
    """A structure of chains of residues (component id, its atoms); `kinds` says protein or rna of each chain."""
    rows: dict[str, list[object]] = {name: [] for name in (*RESIDUE_ARRAYS, *ATOM_ARRAYS)}
    sizes, sequences = [0], []
    for i, (chain, residues) in enumerate(chains.items()):
        is_protein = kinds[chain] == "protein"
        letters = ""
        for place, (name, atoms) in enumerate(residues):
            known = residue(name)
            letter = (known.protein_letter or "X") if is_protein else (known.nucleotide_letter or "N")
            letters += letter
            wanted = BACKBONES[kinds[chain]]
            values = {
                "chain": i, "residue_name": name.encode(), "residue_type": type_index(letter, is_protein),
                "polymer_index": place, "auth_number": place + 1, "insertion_code": b"",
                "modified": not known.standard, "deoxy": name in ("DA", "DC", "DG", "DT"),
                "backbone_xyz_angstrom": [atoms.get(atom, (0.0, 0.0, 0.0)) for atom in wanted],
                "backbone_mask": [atom in atoms for atom in wanted],
            }  # fmt: skip
            for key, value in values.items():
                rows[key].append(value)
            for atom, xyz in atoms.items():
                element = "Se" if atom == "SE" else atom[0]
                rows["atom_xyz_angstrom"].append(xyz)
                rows["atom_name"].append(atom.encode())
                rows["atom_element"].append(gemmi.Element(element).atomic_number)
            sizes.append(len(atoms))
        sequences.append(letters)
    shapes = {**RESIDUE_ARRAYS, **ATOM_ARRAYS}
    return Structure(
        pdb_id=pdb_id, file_sha256="0" * 64, method="", resolution_angstrom=None, release_date="", n_models=1,
        handled={}, chain_ids=tuple(chains), label_chains=tuple(chains),
        molecule_types=tuple(kinds[name] for name in chains), sequences=tuple(sequences),
        sequence_origins=("observed",) * len(chains),
        arrays={name: np.array(rows[name], dtype=kind).reshape(-1, *shape) for name, (kind, shape) in shapes.items()},
        atom_offsets=np.cumsum(sizes),
    )  # fmt: skip


def two_atoms(
    protein: tuple[str, str], rna: tuple[str, str], distance_angstrom: float, pdb_id: str = "9abc"
) -> Structure:
    """One atom of chain A and one of chain R, each as (component id, atom name)."""
    return hand_made(
        {"A": [(protein[0], {protein[1]: (0.0, 0.0, 0.0)})], "R": [(rna[0], {rna[1]: (distance_angstrom, 0.0, 0.0)})]},
        {"A": "protein", "R": "rna"},
        pdb_id,
    )


def moved(structure: Structure, rotation: np.ndarray, shift: np.ndarray) -> Structure:
    """The same in another frame."""
    arrays = dict(structure.arrays)
    for name in ("atom_xyz_angstrom", "backbone_xyz_angstrom"):
        arrays[name] = (arrays[name] @ rotation.T + shift).astype(np.float32)
    return replace(structure, arrays=arrays)


def with_other_atom_order(structure: Structure, rng: np.random.Generator) -> Structure:
    """The same with the atoms of each residue in another order."""
    offsets = structure.atom_offsets
    order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in itertools.pairwise(offsets)])
    arrays = dict(structure.arrays)
    for name in ATOM_ARRAYS:
        arrays[name] = arrays[name][order]
    return replace(structure, arrays=arrays)
