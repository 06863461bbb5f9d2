"""The surface that protein and RNA bury in each other, by the method of Shrake and Rupley.

Shrake, Rupley 1973, J. Mol. Biol. 79:351: points spread evenly over the sphere of each atom's van der Waals radius
plus the probe's; a point inside another atom's such sphere is not accessible. Radii are Bondi's, as
`biolip_contacts` states them; the probe is a water molecule.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from copra.structure.biolip_contacts import RADII_ANGSTROM
from copra.structure.distances import ChainAtoms, chain_atoms, near_pairs
from copra.structure.interface import find_chains
from copra.structure.residues import PROTEIN, RNA, Structure

PROBE_RADIUS_ANGSTROM = 1.4
SPHERE_POINTS = 200
BLOCK_PAIRS = 2**14  # pairs of atoms whose points are looked at together: 16 MB


def sphere_points(n_points: int) -> npt.NDArray[np.float32]:
    """Unit vectors [n_points, 3] spread evenly over the sphere: a golden spiral."""
    height = 1 - (2 * np.arange(n_points) + 1) / n_points
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(n_points)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1).astype(np.float32)


def buried_area_angstrom2(
    structure: Structure, complex_id: str, protein_chains: list[str], rna_chains: list[str]
) -> float:
    """Accessible area of the protein alone + that of the RNA alone - that of both together, in angstrom^2.

    Heavy atoms only; `SPHERE_POINTS` points on each. Only atoms within reach of the partner are looked at, others
    lose nothing. Raises InputError when a chain is not in the structure or is not of the wanted molecule.
    """
    protein = chain_atoms(structure, find_chains(structure, complex_id, protein_chains, PROTEIN))
    rna = chain_atoms(structure, find_chains(structure, complex_id, rna_chains, RNA))
    reach = [
        RADII_ANGSTROM[structure.arrays["atom_element"][side.atoms]] + PROBE_RADIUS_ANGSTROM for side in (protein, rna)
    ]
    points = sphere_points(SPHERE_POINTS)
    first, second = _touching(protein.xyz, rna.xyz, *reach)
    lost = _lost_points(protein, reach[0], first, rna, reach[1], second, points)
    lost += _lost_points(rna, reach[1], second, protein, reach[0], first, points)
    return float(lost)


def _touching(
    xyz: npt.NDArray[np.float64],
    other_xyz: npt.NDArray[np.float64],
    reach: npt.NDArray[np.float64],
    other_reach: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The pairs [K] of atoms whose spheres overlap."""
    first, second, distance = near_pairs(xyz, other_xyz, float(reach.max() + other_reach.max()))
    overlap = distance < reach[first] + other_reach[second]
    return first[overlap], second[overlap]


def _lost_points(
    side: ChainAtoms,
    reach: npt.NDArray[np.float64],
    atoms: npt.NDArray[np.int64],
    partner: ChainAtoms,
    partner_reach: npt.NDArray[np.float64],
    partner_atoms: npt.NDArray[np.int64],
    points: npt.NDArray[np.float32],
) -> float:
    """Area in angstrom^2 of `side` that is accessible without the partner and is not with it.

    `atoms` and `partner_atoms` [K] are the overlapping pairs between the two.
    """
    candidates = np.unique(atoms)
    place = np.searchsorted(candidates, atoms)
    inside = _inside(side.xyz[candidates], reach[candidates], place, partner.xyz, partner_reach, partner_atoms, points)
    hit = np.flatnonzero(inside.any(axis=1))
    candidates, inside = candidates[hit], inside[hit]
    if not len(candidates):
        return 0.0
    own, neighbour = _touching(side.xyz[candidates], side.xyz, reach[candidates], reach)
    other = candidates[own] != neighbour
    own, neighbour = own[other], neighbour[other]
    covered = _inside(side.xyz[candidates], reach[candidates], own, side.xyz, reach, neighbour, points)
    area = 4 * np.pi * reach[candidates] ** 2 / len(points)
    return float(np.sum(area * np.count_nonzero(inside & ~covered, axis=1)))


def _inside(
    xyz: npt.NDArray[np.float64],
    reach: npt.NDArray[np.float64],
    atom: npt.NDArray[np.int64],
    other_xyz: npt.NDArray[np.float64],
    other_reach: npt.NDArray[np.float64],
    other: npt.NDArray[np.int64],
    points: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """Which points of the atoms [atoms, points] lie inside a sphere of another one; `atom`, `other` [K] are the pairs.

    The point r u of the atom at the distance vector d from the other one is inside when |r u + d|^2 < r'^2.
    """
    order = np.argsort(atom, kind="stable")
    atom, other = atom[order], other[order]
    inside = np.zeros((len(xyz), len(points)), dtype=bool)
    for start in range(0, len(atom), BLOCK_PAIRS):
        a, b = atom[start : start + BLOCK_PAIRS], other[start : start + BLOCK_PAIRS]
        vector = xyz[a] - other_xyz[b]
        limit = (other_reach[b] ** 2 - reach[a] ** 2 - np.sum(vector**2, axis=1)) / (2 * reach[a])
        is_inside = vector.astype(np.float32) @ points.T < limit.astype(np.float32)[:, None]
        first = np.flatnonzero(np.diff(a, prepend=-1))
        inside[a[first]] |= np.logical_or.reduceat(is_inside, first, axis=0)
    return inside
