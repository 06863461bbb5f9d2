"""Where a residue stands in its complex: how buried it is with and without the partner, and how near the partner is.

Accessible areas by Shrake and Rupley's method, as in copra/structure/surface.py, over heavy atoms; they are relative to
the largest area that the amino acid can have (Tien et al. 2013, PLoS ONE 8:e80635, their theoretical values).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from copra.structure.biolip_contacts import RADII_ANGSTROM
from copra.structure.distances import ChainAtoms
from copra.structure.residues import RESIDUE_TYPES, Structure
from copra.structure.surface import PROBE_RADIUS_ANGSTROM, SPHERE_POINTS, sphere_points

MAX_AREA_ANGSTROM2 = {
    "A": 129.0, "R": 274.0, "N": 195.0, "D": 193.0, "C": 167.0, "Q": 225.0, "E": 223.0, "G": 104.0, "H": 224.0,
    "I": 197.0, "L": 201.0, "K": 236.0, "M": 224.0, "F": 240.0, "P": 159.0, "S": 155.0, "T": 172.0, "W": 285.0,
    "Y": 263.0, "V": 174.0,
}  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """Of one residue: relative accessible area (0 to about 1) without and with the partner, and its distance."""

    relative_area_unbound: float
    relative_area_complex: float
    partner_distance_angstrom: float


def surroundings(structure: Structure, residue: int, own: ChainAtoms, partner: ChainAtoms) -> Surroundings:
    """Of one residue of the side `own`; its unbound state is that side alone, in the shape that it has in the complex.

    `residue` is an index into the structure's residues and one of `own.residues`; the distance is that of the nearest
    heavy atoms.
    """
    atoms = np.flatnonzero(own.residue == residue)
    reach = [RADII_ANGSTROM[structure.arrays["atom_element"][s.atoms]] + PROBE_RADIUS_ANGSTROM for s in (own, partner)]
    unbound = accessible_area_angstrom2(atoms, own.xyz, reach[0])
    both = np.concatenate([own.xyz, partner.xyz]), np.concatenate(reach)
    bound = accessible_area_angstrom2(atoms, *both)
    most = MAX_AREA_ANGSTROM2[RESIDUE_TYPES[int(structure.arrays["residue_type"][residue])]]
    distance, _ = cKDTree(partner.xyz).query(own.xyz[atoms])
    return Surroundings(unbound / most, bound / most, float(distance.min()))


def accessible_area_angstrom2(
    atoms: npt.NDArray[np.int64], xyz: npt.NDArray[np.float64], reach: npt.NDArray[np.float64]
) -> float:
    """The area of some atoms that is accessible among all atoms, in angstrom^2.

    `xyz` [a, 3] and `reach` [a], the van der Waals radius plus the probe's, are those of all atoms; `atoms` are places
    there.
    """
    points = sphere_points(SPHERE_POINTS).T.astype(np.float64)  # [points, 3]
    space, total = cKDTree(xyz), 0.0
    for atom in atoms:
        near = np.array(space.query_ball_point(xyz[atom], reach[atom] + reach.max()), dtype=np.int64)
        near = near[near != atom]
        on_sphere = xyz[atom] + reach[atom] * points
        squared = np.sum((on_sphere[:, None] - xyz[near][None]) ** 2, axis=2)
        free = np.count_nonzero(~(squared < reach[near] ** 2).any(axis=1))
        total += 4 * np.pi * float(reach[atom]) ** 2 * free / len(points)
    return total
