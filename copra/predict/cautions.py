"""What a reader is to know of the chosen chains before trusting a number: plain sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from copra.predict.confidence import LOW_PLDDT, PLDDT
from copra.structure.distances import ChainAtoms, chain_atoms, near_pairs, nearest_of_residues, tree
from copra.structure.residues import UNKNOWN_TYPES, Structure

Sides = tuple[tuple[str, ...], tuple[str, ...]]  # protein chains, RNA chains

# No chemistry but a crosslink puts heavy atoms of two molecules nearer; one crosslink makes few such pairs
CLASH_ANGSTROM = 2.2
MAX_CLASHES = 5
NEAR_GAP_ANGSTROM = 10.0  # an end of a gap that is so near to the partner: what is missing may touch it
SHOWN_NAMES = 8


@dataclass(frozen=True)
class ComplexLimits:
    """What the training set's complexes keep to: values of `pra310` and of the experiment in config.yaml."""

    max_packing_contacts: int  # residue pairs
    max_protein_chains: int
    max_rna_chains: int
    max_protein_residues: int
    max_rna_nucleotides: int
    interface_nodes: int


def cautions(structure: Structure, sides: Sides, cutoff_angstrom: float, limits: ComplexLimits) -> list[str]:
    """Warnings about chosen protein and RNA chains, which touch: plain sentences, most serious first."""
    atoms = _side_atoms(structure, sides)
    i, j, distance = near_pairs(atoms[0].xyz, atoms[1].xyz, cutoff_angstrom)
    touching = distance < cutoff_angstrom
    pairs = np.unique(np.stack([atoms[0].residue[i[touching]], atoms[1].residue[j[touching]]]), axis=1)
    interface = np.unique(pairs)
    told = _low_confidence(structure, interface, atoms)
    clashes = int(np.count_nonzero(distance < CLASH_ANGSTROM))
    if clashes > MAX_CLASHES:
        told.append(
            f"protein and RNA overlap: {clashes} pairs of heavy atoms are nearer than {CLASH_ANGSTROM:g} angstrom"
        )
    if pairs.shape[1] <= limits.max_packing_contacts:
        told.append(f"no more than {counted(pairs.shape[1], 'residue pair')} in contact, as few as in crystal packing")
    told += _beyond(structure, sides, len(interface), limits)
    told += _unusual_residues(structure, interface)
    told += _gaps(structure, sides, atoms)
    told += _nucleic(structure, sides, atoms, cutoff_angstrom)
    return told


def counted(n: int, one: str, many: str = "") -> str:
    """`1 residue`, `2 residues`."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def contact_residues(structure: Structure, sides: Sides, cutoff_angstrom: float) -> npt.NDArray[np.int64]:
    """The residues of the chosen chains that touch the other side, ascending [k]."""
    atoms = _side_atoms(structure, sides)
    i, j, distance = near_pairs(atoms[0].xyz, atoms[1].xyz, cutoff_angstrom)
    touching = distance < cutoff_angstrom
    return np.union1d(atoms[0].residue[i[touching]], atoms[1].residue[j[touching]])


def sides_distance(structure: Structure, sides: Sides) -> float:
    """The least heavy-atom distance of the two sides in angstrom."""
    protein, rna = _side_atoms(structure, sides)
    return float(nearest_of_residues(protein, rna).min())


def _side_atoms(structure: Structure, sides: Sides) -> tuple[ChainAtoms, ChainAtoms]:
    index = {name: i for i, name in enumerate(structure.chain_ids)}
    protein, rna = (chain_atoms(structure, [index[name] for name in names]) for names in sides)
    return protein, rna


def _low_confidence(structure: Structure, interface: npt.NDArray[np.int64], atoms: tuple[ChainAtoms, ...]) -> list[str]:
    if PLDDT not in structure.arrays:
        return []
    plddt = structure.arrays[PLDDT]
    if np.isnan(plddt[interface]).all() or (mean := float(np.nanmean(plddt[interface]))) >= LOW_PLDDT:
        return []
    parts = []
    for what, side in zip(("protein", "RNA"), atoms, strict=True):
        own = plddt[np.intersect1d(interface, side.residues)]
        if not np.isnan(own).all():
            parts.append(f"{what} {np.nanmean(own):.0f}")
    return [
        f"the predicted confidence is low where they touch: mean pLDDT {mean:.0f} over {len(interface)} residues "
        f"({', '.join(parts)}), expected {LOW_PLDDT:.0f} or more"
    ]


def _beyond(structure: Structure, sides: Sides, n_interface: int, limits: ComplexLimits) -> list[str]:
    """Sizes that no training record has."""
    length = dict(zip(structure.chain_ids, map(len, structure.sequences), strict=True))
    sizes = (
        ("protein chains", len(sides[0]), limits.max_protein_chains),
        ("RNA chains", len(sides[1]), limits.max_rna_chains),
        ("protein residues", sum(length[c] for c in sides[0]), limits.max_protein_residues),
        ("nucleotides", sum(length[c] for c in sides[1]), limits.max_rna_nucleotides),
    )
    told = [f"{n} {what}, and no training record has more than {most}" for what, n, most in sizes if n > most]
    if n_interface > limits.interface_nodes:
        told.append(f"{n_interface} residues touch; the model sees the {limits.interface_nodes} nearest")
    return told


def _unusual_residues(structure: Structure, interface: npt.NDArray[np.int64]) -> list[str]:
    """Modified, unknown and incomplete residues among those that touch."""
    arrays = structure.arrays
    told = []
    unknown = np.isin(arrays["residue_type"][interface], UNKNOWN_TYPES)
    chosen = (
        ("modified", "read as the parent", arrays["modified"][interface] & ~unknown),
        ("unknown", "read as X or N", unknown),
    )
    for what, how, mark in chosen:
        names = Counter(name.decode() for name in arrays["residue_name"][interface[mark]].tolist())
        if names:
            shown = ", ".join(f"{n} {name}" for name, n in names.most_common(SHOWN_NAMES))
            told.append(f"{counted(names.total(), what + ' residue')} at the interface, {how}: {shown}")
    # CA and C, or C4' and C1': a chain's first nucleotide has no P, and its end may lack O
    bare = int(np.count_nonzero(~arrays["backbone_mask"][interface, 1:3].all(axis=1)))
    if bare:
        told.append(f"{counted(bare, 'residue')} at the interface without all backbone atoms")
    return told


def _gaps(structure: Structure, sides: Sides, atoms: tuple[ChainAtoms, ...]) -> list[str]:
    """Stretches without coordinates whose ends are near to the partner."""
    places = []
    for names, side, partner in zip(sides, atoms, atoms[::-1], strict=True):
        near = dict(zip(side.residues.tolist(), nearest_of_residues(side, partner).tolist(), strict=True))
        for name in names:
            index = structure.chain_ids.index(name)
            part = structure.chain_residues(index)
            full = structure.sequence_origins[index] == "seqres"
            number = structure.arrays["polymer_index" if full else "auth_number"][part]
            for at in np.flatnonzero(np.diff(number) > 1):
                left, right = part.start + int(at), part.start + int(at) + 1
                if min(near[left], near[right]) < NEAR_GAP_ANGSTROM:
                    ends = [str(structure.arrays["auth_number"][r]) for r in (left, right)]
                    places.append(f"{name} {' to '.join(ends)}")
    if not places:
        return []
    more = f" and {len(places) - SHOWN_NAMES} more" if len(places) > SHOWN_NAMES else ""
    shown = ", ".join(places[:SHOWN_NAMES]) + more
    return [
        f"{counted(len(places), 'stretch', 'stretches')} without coordinates near the other molecule: chain {shown}"
    ]


def _nucleic(structure: Structure, sides: Sides, atoms: tuple[ChainAtoms, ...], cutoff_angstrom: float) -> list[str]:
    """Deoxyribonucleotides in the RNA, sugars without O2', and DNA chains that touch but are left out."""
    rna = atoms[1]
    deoxy = structure.arrays["deoxy"][rna.residues]
    told = []
    if deoxy.any():
        told.append(f"{np.count_nonzero(deoxy)} of {len(deoxy)} nucleotides are DNA, read as RNA")
    names = structure.arrays["atom_name"][rna.atoms]
    sugar, hydroxyl = (np.unique(rna.residue[names == name]) for name in (b"C2'", b"O2'"))
    lacking = np.setdiff1d(sugar, np.union1d(hydroxyl, rna.residues[deoxy]))
    lacking = lacking[~structure.arrays["modified"][lacking]]
    if len(lacking):
        told.append(f"{counted(len(lacking), 'nucleotide')} named as RNA without O2', as in DNA")
    both = np.concatenate([side.xyz for side in atoms])
    for i, kind in enumerate(structure.molecule_types):
        if kind != "dna":
            continue
        other = chain_atoms(structure, [i])
        if len(other.xyz) and tree(both).query(other.xyz)[0].min() < cutoff_angstrom:
            told.append(f"DNA chain {structure.chain_ids[i]} touches the complex and is left out")
    return told
