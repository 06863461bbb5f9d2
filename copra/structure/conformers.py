"""The atoms of one model as arrays: heavy atoms of polymers, one conformer per residue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.residues import PROTEIN_BACKBONE, RNA_BACKBONE

POLYMER = 1  # gemmi's number of EntityType.Polymer in flat arrays
OLD_NAMES = {b"O1P": b"OP1", b"O2P": b"OP2", b"O3P": b"OP3"}


@dataclass
class ModelAtoms:
    """Kept atoms [A] and the residues [R] that they belong to, both in file order."""

    chain: npt.NDArray[np.int64]  # [R] index of the author chain
    subchain: npt.NDArray[np.bytes_]  # [R]
    name: npt.NDArray[np.bytes_]  # [R]
    number: npt.NDArray[np.int32]  # [R]
    insertion_code: npt.NDArray[np.bytes_]  # [R]
    label_seq: npt.NDArray[np.int64]  # [R] 1-based, 0 where there is none
    residue: npt.NDArray[np.int64]  # [A] index of the residue
    xyz: npt.NDArray[np.float32]  # [A, 3] angstrom
    atom_name: npt.NDArray[np.bytes_]  # [A]
    element: npt.NDArray[np.uint8]  # [A] atomic number


def _text(codes: npt.NDArray[np.int8], width: int) -> npt.NDArray[np.bytes_]:
    return np.ascontiguousarray(codes).view("S8").ravel().astype(f"S{width}")


def select_atoms(model: gemmi.Model, flat: Any, handled: Counter[str]) -> ModelAtoms:
    """Keep the heavy polymer atoms of `model`, whose FlatStructure is `flat`, one conformer per residue.

    Where a residue has alternative locations the one with the highest mean occupancy stays, the first letter
    among equals; atoms without an alternative location always stay. What was done is counted in `handled`.
    """
    sizes = [len(r) for chain in model for r in chain]
    chain_of = [i for i, chain in enumerate(model) for _ in chain]
    label_seq = [r.label_seq or 0 for chain in model for r in chain]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    residue = np.repeat(np.arange(len(sizes)), sizes)
    # a position is a run of residues with one number: two names there are alternatives of one residue
    numbers, codes = flat.resnums[starts], flat.icodes[starts]
    names = _text(flat.residue_names[starts], 5)
    key = np.stack([np.asarray(chain_of), numbers, codes, label_seq], axis=1)
    new = np.concatenate([[True], np.any(key[1:] != key[:-1], axis=1)])
    position = np.cumsum(new) - 1

    polymer = (flat.entity_type == POLYMER) & (flat.element_names != b"H") & (flat.element_names != b"D")
    index = np.flatnonzero(polymer)
    index = index[_one_conformer(position[residue[index]], residue[index], flat, index, names, handled)]
    index = _first_of_each_name(index, residue, flat, handled)
    handled["zero_occupancy"] += int(np.count_nonzero(flat.occ[index] <= 0))
    kept, which = np.unique(residue[index], return_inverse=True)
    atom_names = flat.atom_names[index].copy()
    atom_names[atom_names == ord("*")] = ord("'")
    return ModelAtoms(
        chain=np.asarray(chain_of, dtype=np.int64)[kept],
        subchain=_text(flat.subchains[starts], 8)[kept],
        name=names[kept],
        number=numbers[kept],
        insertion_code=np.char.strip(codes[kept].astype(np.uint8).view("S1")),
        label_seq=np.asarray(label_seq, dtype=np.int64)[kept],
        residue=which.astype(np.int64),
        xyz=flat.pos[index].astype(np.float32),
        atom_name=_new_names(_text(atom_names, 4)),
        element=flat.elements[index].astype(np.uint8),
    )


def _one_conformer(
    position: npt.NDArray[np.int64],
    residue: npt.NDArray[np.int64],
    flat: Any,
    index: npt.NDArray[np.int64],
    names: npt.NDArray[np.bytes_],
    handled: Counter[str],
) -> npt.NDArray[np.bool_]:
    """Which atoms [A] belong to the chosen conformer of their position."""
    letter = flat.altlocs[index].astype(np.int64)
    keep = np.ones(len(index), dtype=bool)
    alternative = letter != 0
    chosen_residue = np.full(position.max() + 1 if len(position) else 0, -1, dtype=np.int64)
    if alternative.any():
        pairs, which = np.unique(position[alternative] * 256 + letter[alternative], return_inverse=True)
        mean = np.bincount(which, flat.occ[index][alternative]) / np.bincount(which)
        at, code = pairs // 256, pairs % 256
        order = np.lexsort((code, -np.round(mean, 3), at))
        best = order[np.concatenate([[True], np.diff(at[order]) > 0])]
        chosen = np.zeros(position.max() + 1, dtype=np.int64)
        chosen[at[best]] = code[best]
        keep = ~alternative | (letter == chosen[position])
        handled["altloc"] += len(best)
        hit = np.flatnonzero(alternative & keep)[::-1]
        chosen_residue[position[hit]] = residue[hit]
    # where no letter tells which of two names at one position is meant, the first one stays
    first_at, first = np.unique(position[keep], return_index=True)
    unset = chosen_residue[first_at] < 0
    chosen_residue[first_at[unset]] = residue[keep][first][unset]
    two_names = len(np.unique(residue)) - len(np.unique(position))
    if two_names:
        handled["microheterogeneity"] += two_names
        keep &= residue == chosen_residue[position]
    return keep


def _first_of_each_name(
    index: npt.NDArray[np.int64], residue: npt.NDArray[np.int64], flat: Any, handled: Counter[str]
) -> npt.NDArray[np.int64]:
    if not len(index):
        return index
    codes = np.ascontiguousarray(flat.atom_names[index][:, :4]).view("<u4").ravel().astype(np.int64)
    _, first = np.unique(residue[index] * 2**32 + codes, return_index=True)
    handled["duplicate_atoms"] += len(index) - len(first)
    return index[np.sort(first)]


def _new_names(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bytes_]:
    for old, new in OLD_NAMES.items():
        names[names == old] = new
    return names


def backbone(
    atoms: ModelAtoms, is_protein: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Backbone coordinates [R, 4, 3] in angstrom, 0 where absent, and their mask [R, 4].

    Protein N CA C O; nucleotides P C4' C1' and the base nitrogen N9, or N1 where there is no N9.
    """
    xyz = np.zeros((len(is_protein), 4, 3), dtype=np.float32)
    mask = np.zeros((len(is_protein), 4), dtype=bool)
    protein_atom = is_protein[atoms.residue]
    # N9 comes after N1 and so replaces it in purines
    for names, of_protein in ((PROTEIN_BACKBONE, True), ((*RNA_BACKBONE[:3], "N1"), False), (RNA_BACKBONE, False)):
        for slot, name in enumerate(names):
            hit = np.flatnonzero((atoms.atom_name == name.encode()) & (protein_atom == of_protein))
            xyz[atoms.residue[hit], slot] = atoms.xyz[hit]
            mask[atoms.residue[hit], slot] = True
    return xyz, mask
