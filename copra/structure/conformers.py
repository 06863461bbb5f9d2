"""The atoms of one model as arrays: heavy atoms of polymers, one conformer per residue."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
import numpy.typing as npt

from copra.structure.residues import PROTEIN_BACKBONE, RNA_BACKBONE

# gemmi's numbers of EntityType in flat arrays
POLYMER, NON_POLYMER, BRANCHED, WATER = 1, 2, 3, 4
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


def _changes(*columns: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Where a row differs from the one before it in any column; the first row does."""
    new = np.ones(len(columns[0]), dtype=bool)
    if len(new):
        new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return new


def select_atoms(model: gemmi.Model, flat: Any, handled: Counter[str]) -> ModelAtoms:
    """Keep the heavy polymer atoms of `model`, whose FlatStructure is `flat`, one conformer per residue.

    Where a residue has alternative locations the one with the highest mean occupancy stays, the first letter
    among equals; atoms without an alternative location always stay. What was done is counted in `handled`.
    """
    sized = np.array([(len(r), r.label_seq or 0) for chain in model for r in chain], dtype=np.int64)
    sizes, label_seq = sized[:, 0], sized[:, 1]
    chain_of = np.repeat(np.arange(len(model)), [len(chain) for chain in model])
    starts = np.cumsum(sizes) - sizes
    residue = np.repeat(np.arange(len(sizes)), sizes)
    # a position is a run of residues with one number: two names there are alternatives of one residue
    numbers, codes = flat.resnums[starts], flat.icodes[starts]
    position = np.cumsum(_changes(chain_of, numbers, codes, label_seq)) - 1

    entity_type = flat.entity_type
    is_polymer, is_heavy = entity_type == POLYMER, flat.elements != 1
    index = np.flatnonzero(is_polymer & is_heavy)
    handled["hydrogens"] += int(np.count_nonzero(is_polymer)) - len(index)
    kinds = np.bincount(entity_type[starts], minlength=WATER + 1)
    handled["waters"] += int(kinds[WATER])
    handled["ligands"] += int(kinds[NON_POLYMER] + kinds[BRANCHED])
    index = index[_one_conformer(position[residue[index]], residue[index], flat, index, handled)]
    names = _atom_names(flat, index)
    first = _first_of_each_name(residue[index], names, handled)
    index, names = index[first], names[first]
    handled["zero_occupancy"] += int(np.count_nonzero(flat.occ[index] <= 0))
    new = _changes(residue[index])
    kept = residue[index][new]
    return ModelAtoms(
        chain=chain_of[kept],
        subchain=_text(flat.subchains[starts[kept]], 8),
        name=_text(flat.residue_names[starts[kept]], 5),
        number=numbers[kept],
        insertion_code=np.char.strip(codes[kept].astype(np.uint8).view("S1")),
        label_seq=label_seq[kept],
        residue=np.cumsum(new) - 1,
        xyz=flat.pos[index].astype(np.float32),
        atom_name=names,
        element=flat.elements[index].astype(np.uint8),
    )


def _one_conformer(
    position: npt.NDArray[np.int64],
    residue: npt.NDArray[np.int64],
    flat: Any,
    index: npt.NDArray[np.int64],
    handled: Counter[str],
) -> npt.NDArray[np.bool_]:
    """Which atoms [A] belong to the chosen conformer of their position; `position` and `residue` ascend."""
    letter = flat.altlocs[index].astype(np.int64)
    keep = np.ones(len(index), dtype=bool)
    alternative = letter != 0
    if alternative.any():
        pairs, which = np.unique(position[alternative] * 256 + letter[alternative], return_inverse=True)
        mean = np.bincount(which, flat.occ[index][alternative]) / np.bincount(which)
        at, code = pairs // 256, pairs % 256
        order = np.lexsort((code, -np.round(mean, 3), at))
        best = order[_changes(at[order])]
        chosen = np.zeros(position.max() + 1, dtype=np.int64)
        chosen[at[best]] = code[best]
        keep = ~alternative | (letter == chosen[position])
        handled["altloc"] += len(best)
    two_names = int(np.count_nonzero(_changes(residue))) - int(np.count_nonzero(_changes(position)))
    if two_names:
        handled["microheterogeneity"] += two_names
        keep &= residue == _one_name(position, residue, keep, alternative)[position]
    return keep


def _one_name(
    position: npt.NDArray[np.int64],
    residue: npt.NDArray[np.int64],
    keep: npt.NDArray[np.bool_],
    alternative: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int64]:
    """The residue that stays at each position: the chosen letter's, and where no letter tells, the first one."""
    chosen = np.full(position.max() + 1, -1, dtype=np.int64)
    for hit in (np.flatnonzero(keep), np.flatnonzero(keep & alternative)):
        chosen[position[hit[::-1]]] = residue[hit[::-1]]
    return chosen


def _atom_names(flat: Any, index: npt.NDArray[np.int64]) -> npt.NDArray[np.bytes_]:
    """Names in the dictionary's present spelling, four letters."""
    letters = np.ascontiguousarray(flat.atom_names[index][:, :4])
    letters[letters == ord("*")] = ord("'")
    codes = _codes(letters.view("S4").ravel())
    for old, new in OLD_NAMES.items():
        codes[codes == _code(old)] = _code(new)
    return codes.view("S4")


def _codes(names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint32]:
    """Four-letter names as numbers, which compare faster than texts."""
    return names.view("<u4")


def _code(name: bytes) -> int:
    return int(_codes(np.array([name], dtype="S4"))[0])


def _first_of_each_name(
    residue: npt.NDArray[np.int64], names: npt.NDArray[np.bytes_], handled: Counter[str]
) -> npt.NDArray[np.int64]:
    """The atoms that stay where a name occurs twice in a residue; `residue` ascends."""
    key = residue * 2**32 + _codes(names)
    ordered = np.sort(key)
    twice = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
    handled["duplicate_atoms"] += twice
    return np.sort(np.unique(key, return_index=True)[1]) if twice else np.arange(len(key))


def backbone(
    atoms: ModelAtoms, is_protein: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Backbone coordinates [R, 4, 3] in angstrom, 0 where absent, and their mask [R, 4].

    Protein N CA C O; nucleotides P C4' C1' and the base nitrogen N9, or N1 where there is no N9.
    """
    xyz = np.zeros((len(is_protein), 4, 3), dtype=np.float32)
    mask = np.zeros((len(is_protein), 4), dtype=bool)
    protein_atom = is_protein[atoms.residue]
    codes = _codes(atoms.atom_name)
    # N9 comes after N1 and so replaces it in purines
    for names, of_protein in ((PROTEIN_BACKBONE, True), ((*RNA_BACKBONE[:3], "N1"), False), (RNA_BACKBONE[3:], False)):
        for slot, name in enumerate(names, start=4 - len(names)):
            hit = np.flatnonzero((codes == _code(name.encode())) & (protein_atom == of_protein))
            xyz[atoms.residue[hit], slot] = atoms.xyz[hit]
            mask[atoms.residue[hit], slot] = True
    return xyz, mask
