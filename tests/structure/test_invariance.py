"""The same complex written in another order, or in another frame, gives the same interface."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest
from raw_rows import file_lines
from scipy.spatial.transform import Rotation

from copra.structure.distances import node_distances
from copra.structure.interface import Interface, chain_contacts, cut_interface
from copra.structure.reader import read_structure
from copra.structure.residues import Structure
from copra.structure.surface import buried_area_angstrom2

Reader = Callable[[str], Structure]
ENTRY = "1knz"  # eight protein and four RNA chains
SIDES = ["A", "B", "N"], ["W", "Y"]


def rewritten(shared: Path, folder: Path, key: Callable[[int, list[str]], tuple]) -> Structure:
    """The entry read from a copy whose atom rows are sorted by `key` of their place and values."""
    block = gemmi.cif.read_string("\n".join(file_lines(shared, ENTRY))).sole_block()
    table = block.find_mmcif_category("_atom_site.")
    tags = [tag.removeprefix("_atom_site.") for tag in table.tags]
    wanted = [tags.index(name) for name in ("auth_asym_id", "auth_seq_id", "label_atom_id")]
    rows = [list(row) for row in table]
    order = sorted(range(len(rows)), key=lambda i: key(i, [rows[i][k] for k in wanted]))
    loop = block.find_loop("_atom_site.id").get_loop()
    loop.set_all_values([[rows[i][k] for i in order] for k in range(len(tags))])
    path = folder / f"{ENTRY}.cif.gz"
    path.write_bytes(gzip.compress(block.as_string().encode(), mtime=0))
    return read_structure(path, ENTRY)


def same_interface(left: Interface, right: Interface) -> None:
    for name, value in vars(left).items():
        if name not in ("file_sha256", "buried_area_angstrom2"):
            np.testing.assert_array_equal(value, getattr(right, name), err_msg=name)


def test_the_order_of_chains_in_the_file_does_not_matter(real: Reader, shared: Path, tmp_path: Path) -> None:
    here = real(ENTRY)
    there = rewritten(shared, tmp_path, lambda i, row: (tuple(-ord(letter) for letter in row[0]), i))
    assert there.chain_ids == tuple(sorted(here.chain_ids, reverse=True)) != here.chain_ids
    same_interface(cut_interface(here, "x", *SIDES, 100), cut_interface(there, "x", *SIDES, 100))
    pairs = [{(c.protein_chain, c.rna_chain): c for c in chain_contacts(s, 5.0)} for s in (here, there)]
    assert pairs[0] == pairs[1]
    assert buried_area_angstrom2(here, "x", *SIDES) == pytest.approx(buried_area_angstrom2(there, "x", *SIDES))
    assert here.handled == there.handled


def test_the_order_of_atoms_in_a_residue_does_not_matter(real: Reader, shared: Path, tmp_path: Path) -> None:
    here = real(ENTRY)
    places: dict[tuple[str, str], int] = {}
    there = rewritten(shared, tmp_path, lambda i, row: (places.setdefault((row[0], row[1]), i), row[2][::-1]))
    assert here.chain_ids == there.chain_ids
    assert here.arrays["atom_name"].tolist() != there.arrays["atom_name"].tolist()
    same_interface(cut_interface(here, "x", *SIDES, 100), cut_interface(there, "x", *SIDES, 100))
    assert buried_area_angstrom2(here, "x", *SIDES) == pytest.approx(buried_area_angstrom2(there, "x", *SIDES))


def test_the_frame_of_the_file_does_not_matter(real: Reader, rng: np.random.Generator, tmp_path: Path) -> None:
    """A turned and shifted copy, written with the three decimals of a PDB file."""

    here = real("1ec6")
    lines = ["HEADER    TURNED"]
    rotation, shift = Rotation.random(rng=rng).as_matrix(), rng.normal(0, 40, 3)
    xyz = here.arrays["atom_xyz_angstrom"] @ rotation.T + shift
    of_atom = np.repeat(np.arange(len(here.arrays["chain"])), np.diff(here.atom_offsets))
    for i, residue in enumerate(of_atom):
        chain = here.chain_ids[here.arrays["chain"][residue]]
        name, atom = here.arrays["residue_name"][residue].decode(), here.arrays["atom_name"][i].decode()
        element = gemmi.Element(int(here.arrays["atom_element"][i])).name
        place = "".join(f"{value:8.3f}" for value in xyz[i])
        start = f"ATOM  {i + 1:>5}  {atom:<3} {name:>3} {chain}{here.arrays['auth_number'][residue]:>4}    "
        lines.append(f"{start}{place}  1.00 10.00          {element.upper():>2}")
    (tmp_path / "turned.pdb").write_text("\n".join([*lines, "END", ""]))
    there = read_structure(tmp_path / "turned.pdb", "1ec6")
    cuts = [cut_interface(s, "x", ["A"], ["D"], 60) for s in (here, there)]
    np.testing.assert_array_equal(cuts[0].auth_number, cuts[1].auth_number)
    np.testing.assert_allclose(cuts[0].partner_distance_angstrom, cuts[1].partner_distance_angstrom, atol=2e-3)
    np.testing.assert_allclose(cuts[0].centres_angstrom @ rotation.T + shift, cuts[1].centres_angstrom, atol=2e-3)
    nodes = np.arange(50)
    np.testing.assert_allclose(node_distances(here, nodes), node_distances(there, nodes), atol=2e-3)
