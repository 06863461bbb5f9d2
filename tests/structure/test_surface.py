"""The buried surface, with Biopython's Shrake-Rupley as the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest
from Bio.PDB.Atom import Atom
from Bio.PDB.Chain import Chain
from Bio.PDB.Residue import Residue
from Bio.PDB.SASA import ATOMIC_RADII, ShrakeRupley
from scipy.spatial.transform import Rotation

from copra.errors import InputError
from copra.structure import surface
from copra.structure.biolip_contacts import RADII_ANGSTROM
from copra.structure.residues import Structure
from copra.structure.surface import PROBE_RADIUS_ANGSTROM, SPHERE_POINTS, buried_area_angstrom2

Reader = Callable[[str], Structure]


def area(structure: Structure, chains: list[str]) -> float:
    """Biopython's accessible area of chains."""
    built = Chain("X")
    for name in chains:
        part = structure.chain_residues(structure.chain_ids.index(name))
        for r in range(part.start, part.stop):
            residue = Residue((" ", r, " "), "RES", "")
            built.add(residue)
            for a in range(structure.atom_offsets[r], structure.atom_offsets[r + 1]):
                element = gemmi.Element(int(structure.arrays["atom_element"][a])).name.upper()
                label = structure.arrays["atom_name"][a].decode()
                xyz = structure.arrays["atom_xyz_angstrom"][a]
                residue.add(Atom(label, xyz, 0.0, 1.0, " ", label, a, element=element))
    ShrakeRupley(probe_radius=PROBE_RADIUS_ANGSTROM, n_points=SPHERE_POINTS).compute(built, level="C")
    return float(built.sasa)


def test_the_radii_are_those_of_the_oracle() -> None:
    for element in ("C", "N", "O", "P", "S", "SE"):
        assert RADII_ANGSTROM[gemmi.Element(element).atomic_number] == pytest.approx(ATOMIC_RADII[element])


@pytest.mark.parametrize(
    ("pdb_id", "protein", "rna"), [("1ec6", ["A"], ["D"]), ("1knz", ["A", "B"], ["W"]), ("1aq4", ["A", "B"], ["R"])]
)
def test_buried_area_equals_biopython(pdb_id: str, protein: list[str], rna: list[str], real: Reader) -> None:
    structure = real(pdb_id)
    expected = area(structure, protein) + area(structure, rna) - area(structure, protein + rna)
    found = buried_area_angstrom2(structure, "x", protein, rna)
    assert found > 500
    assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(("pdb_id", "protein", "rna"), [("1ec6", ["A"], ["D"]), ("1qtq", ["A"], ["B"])])
def test_more_points_give_nearly_the_same(
    pdb_id: str, protein: list[str], rna: list[str], real: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = buried_area_angstrom2(real(pdb_id), "x", protein, rna)
    monkeypatch.setattr(surface, "SPHERE_POINTS", 960)
    assert found == pytest.approx(buried_area_angstrom2(real(pdb_id), "x", protein, rna), rel=0.016)


def test_buried_area_does_not_depend_on_the_frame(real: Reader, rng: np.random.Generator) -> None:
    """Beyond the noise of the points, which do not turn with the molecule."""
    structure = real("1qtq")
    here = buried_area_angstrom2(structure, "x", ["A"], ["B"])
    for _ in range(3):
        rotation, shift = Rotation.random(rng=rng).as_matrix(), rng.normal(0, 50, 3)
        xyz = (structure.arrays["atom_xyz_angstrom"] @ rotation.T + shift).astype(np.float32)
        turned = replace(structure, arrays=structure.arrays | {"atom_xyz_angstrom": xyz})
        assert buried_area_angstrom2(turned, "x", ["A"], ["B"]) == pytest.approx(here, rel=0.02)


def two_atoms(distance_angstrom: float) -> Structure:
    """A carbon of a protein and one of an RNA."""
    arrays = {
        "chain": np.array([0, 1], dtype="i2"),
        "atom_xyz_angstrom": np.array([[0, 0, 0], [distance_angstrom, 0, 0]], dtype="f4"),
        "atom_element": np.array([6, 6], dtype="u1"),
    }
    texts = (("A", "B"), ("", ""), ("protein", "rna"), ("G", "U"), ("observed",) * 2)
    return Structure("toy", "", "", None, "", 1, {}, *texts, arrays, np.arange(3))


@pytest.mark.parametrize("distance_angstrom", [2.0, 4.0, 6.0])
def test_two_spheres_lose_their_caps(distance_angstrom: float) -> None:
    """The cap of a sphere of radius R within a distance d of an equal one has the area 2 pi R (R - d / 2)."""
    radius = 1.7 + 1.4
    expected = 2 * 2 * math.pi * radius * (radius - distance_angstrom / 2)
    one_point = 4 * math.pi * radius**2 / SPHERE_POINTS
    found = buried_area_angstrom2(two_atoms(distance_angstrom), "x", ["A"], ["B"])
    assert found == pytest.approx(expected, abs=4 * one_point)


def test_molecules_out_of_reach_bury_nothing() -> None:
    assert buried_area_angstrom2(two_atoms(6.3), "x", ["A"], ["B"]) == 0.0


def test_wrong_chains_are_named(real: Reader) -> None:
    with pytest.raises(InputError, match="complex 1ec6:A:Z: expected RNA chains"):
        buried_area_angstrom2(real("1ec6"), "1ec6:A:Z", ["A"], ["Z"])
