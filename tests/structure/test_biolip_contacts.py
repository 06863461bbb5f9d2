"""Binding residues by BioLiP's rule."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest

from copra.structure.biolip_contacts import RADII_ANGSTROM, Binding, chain_bindings, reach_angstrom
from copra.structure.distances import partner_pairs
from copra.structure.interface import chain_contacts
from copra.structure.reader import read_structure
from copra.structure.residues import Structure

Reader = Callable[[str], Structure]
ATOM = "ATOM  {n:5} {name:^4}{residue:>4} {chain}{number:4}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00 10.00          {e:>2}\n"


def written(folder: Path, atoms: list[tuple[str, str, str, int, float, float]]) -> Structure:
    """A structure of atoms (name, residue, chain, number, x, y) on a plane."""
    rows = [
        ATOM.format(n=n, name=name, residue=residue, chain=chain, number=number, x=x, y=y, z=0.0, e=name[0])
        for n, (name, residue, chain, number, x, y) in enumerate(atoms, start=1)
    ]
    (folder / "made.pdb").write_text("".join(rows) + "END\n")
    return read_structure(folder / "made.pdb", "made")


def test_radii_are_bondis() -> None:
    bondi = {"C": 1.70, "N": 1.55, "O": 1.52, "P": 1.80, "S": 1.80, "Se": 1.90, "Br": 1.85, "I": 1.98}
    for name, radius in bondi.items():
        assert RADII_ANGSTROM[gemmi.Element(name).atomic_number] == pytest.approx(radius, abs=1e-6)


@pytest.mark.parametrize(("distance", "contacts"), [(3.89, 1), (3.91, 0)])
def test_atoms_touch_below_the_sum_of_their_radii_and_a_half(tmp_path: Path, distance: float, contacts: int) -> None:
    atoms = [("CA", "GLY", "A", 1, 0.0, 0.0), ("C1'", "U", "R", 1, distance, 0.0), ("O2'", "U", "R", 1, 30.0, 0.0)]
    found = chain_bindings(written(tmp_path, atoms))
    assert found == ({("A", "R"): Binding(1, 0)} if contacts else {})


def test_a_residue_binds_with_two_contacts(tmp_path: Path) -> None:
    atoms = [
        ("CA", "GLY", "A", 1, 0.0, 0.0), ("C1'", "U", "R", 1, 3.0, 0.0), ("O2'", "U", "R", 1, 3.0, 1.0),
        ("CA", "GLY", "A", 2, 6.0, -2.2), ("C1'", "U", "S", 1, 60.0, 0.0), ("O2'", "U", "S", 1, 61.0, 0.0),
        ("CA", "GLY", "B", 1, 63.0, 0.0),
    ]  # fmt: skip
    found = chain_bindings(written(tmp_path, atoms))
    assert found == {("A", "R"): Binding(3, 1), ("B", "S"): Binding(2, 1)}


def by_definition(structure: Structure) -> dict[tuple[str, str], Binding]:
    """Every atom against every atom."""
    a = structure.arrays
    radius = np.array([gemmi.Element(int(z)).vdw_r for z in a["atom_element"]])
    found = {}
    chains = [structure.chain_residues(i) for i in range(len(structure.chain_ids))]
    atoms = [np.arange(structure.atom_offsets[c.start], structure.atom_offsets[c.stop]) for c in chains]
    residue = np.repeat(np.arange(len(a["chain"])), np.diff(structure.atom_offsets))
    for p, protein in enumerate(structure.chain_ids):
        for r, rna in enumerate(structure.chain_ids):
            if structure.molecule_types[p] != "protein" or structure.molecule_types[r] not in ("rna", "hybrid"):
                continue
            xyz = [a["atom_xyz_angstrom"][atoms[i]].astype(float) for i in (p, r)]
            distance = np.linalg.norm(xyz[0][:, None] - xyz[1][None], axis=2)
            touch = distance < radius[atoms[p]][:, None] + radius[atoms[r]][None] + 0.5
            of_residue = pd.Series(touch.sum(axis=1)).groupby(residue[atoms[p]]).sum()
            if touch.any():
                found[protein, rna] = Binding(int(touch.sum()), int((of_residue >= 2).sum()))
    return found


@pytest.mark.parametrize("pdb_id", ["1ec6", "5l2l", "4u8t", "6ozp"])
def test_trees_find_what_the_definition_says(real: Reader, pdb_id: str) -> None:
    structure = real(pdb_id)
    found = chain_bindings(structure)
    assert found == by_definition(structure)
    assert found


def test_listed_pairs_bind_and_the_others_do_not(real: Reader) -> None:
    """4u8t: the published list has 16 of its pairs; A:T and B:S touch with one residue each and are not listed."""
    counts = {pair: binding.n_binding_residues for pair, binding in chain_bindings(real("4u8t")).items()}
    assert counts["A", "T"] == counts["B", "S"] == 1
    assert counts["A", "R"] == counts["C", "R"] == 2
    assert counts["A", "O"] == 18


def test_it_costs_milliseconds(real: Reader) -> None:
    structure = real("1asy")
    chain_bindings(structure)
    started = time.perf_counter()
    for _ in range(5):
        chain_bindings(structure)
    assert (time.perf_counter() - started) / 5 < 0.1  # 5 ms on an idle core


@pytest.mark.parametrize("pdb_id", ["1ec6", "4u8t"])
def test_pairs_that_were_searched_further_out_give_the_same(pdb_id: str, real: Callable[[str], Structure]) -> None:
    """One search serves the contacts and BioLiP's rule."""
    structure = real(pdb_id)
    pairs = partner_pairs(structure, 8.0)
    assert pairs.distance_angstrom.max() > max(5.0, reach_angstrom(structure))
    assert chain_bindings(structure, pairs) == chain_bindings(structure)
    assert chain_contacts(structure, 5.0, pairs) == chain_contacts(structure, 5.0)
