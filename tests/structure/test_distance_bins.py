from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from copra.errors import InputError
from copra.structure.distance_bins import (
    BIN_CENTRES_ANGSTROM,
    N_BINS,
    DistanceBins,
    distance_bin,
    measure_distances,
    write_distance_bins,
)
from copra.structure.distances import node_distances
from copra.structure.interface import cut_interface
from copra.structure.reader import read_structure
from copra.structure.store import write_interfaces, write_structures


@pytest.mark.parametrize("name", ["1EC6", "1J1U"])
def test_the_official_labels_come_out(shared: Path, name: str) -> None:
    golden = np.load(shared / "golden" / f"geom_{name}.npz")
    patch = golden["patch_idx"]
    nearest = golden["atom_min_dist"][np.ix_(patch, patch)]
    assert (distance_bin(nearest) == golden["midm_label"]).all()
    assert golden["midm_label"].max() == N_BINS - 1


def test_middles_lie_in_their_bins() -> None:
    assert len(BIN_CENTRES_ANGSTROM) == N_BINS
    assert (distance_bin(BIN_CENTRES_ANGSTROM) == np.arange(N_BINS)).all()
    assert distance_bin(np.array([0.0, 7.74, 7.76, 8.99, 9.0, 30.99, 31.0, 400.0])).tolist() == [
        0, 15, 16, 16, 17, 38, 39, 39,
    ]  # fmt: skip


def test_written_bins_are_read_back(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    made = {}
    for name, n in (("2b:A:B", 7), ("1a:A:é", 1), ("3c:A:B", 30)):
        upper = np.triu(generator.integers(0, 40, (n, n))).astype(np.uint8)
        made[name] = upper | np.triu(upper, 1).T
    write_distance_bins([("2b:A:B", made["2b:A:B"])], tmp_path / "0.h5")
    write_distance_bins([(name, made[name]) for name in ("3c:A:B", "1a:A:é")], tmp_path / "1.h5")
    write_distance_bins([], tmp_path / "2.h5")
    bins = DistanceBins([tmp_path / f"{k}.h5" for k in range(3)], list(made))
    for name, values in made.items():
        assert (bins.read(name) == values).all()
    with pytest.raises(InputError, match=r"no distances of 1 complexes .*9z"):
        DistanceBins([tmp_path / "0.h5"], ["9z:A:B"])
    again = tmp_path / "again.h5"
    write_distance_bins([(name, made[name]) for name in ("1a:A:é", "3c:A:B")], again)
    assert again.read_bytes() == (tmp_path / "1.h5").read_bytes()


def test_measured_from_the_structure_in_the_interfaces_order(root: Path, tmp_path: Path) -> None:
    path = sorted((root / "resources/demo/archive/structures/divided/mmCIF").glob("da/*.cif.gz"))[0]
    pdb_id = path.name.split(".")[0]
    structure = read_structure(path, pdb_id)
    protein, rna = structure.chain_ids[0], structure.chain_ids[-1]
    complex_id = f"{pdb_id}:{protein}:{rna}"
    cut = cut_interface(structure, complex_id, [protein], [rna], 20)
    write_structures([structure], tmp_path / "store.h5")
    write_interfaces([cut], tmp_path / "interfaces.h5")
    measure_distances(tmp_path / "interfaces.h5", store=tmp_path / "store.h5", out=tmp_path / "bins.h5")
    found = DistanceBins([tmp_path / "bins.h5"], [complex_id]).read(complex_id)
    assert found.shape == (20, 20)
    nearest = np.where(cut.molecule[:, None] != cut.molecule, found, 255).min(1)
    assert (nearest == distance_bin(cut.partner_distance_angstrom)).all()
    everything = node_distances(structure, np.arange(len(structure.arrays["chain"])))
    assert set(np.unique(found)) <= set(np.unique(distance_bin(everything)))
