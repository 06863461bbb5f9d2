"""The labels of distance prediction: nearest heavy-atom distances between interface nodes, in 40 bins.

Bins are dense near and sparse far: below 8 angstrom the distance is rounded to the nearest half angstrom (bins 0 to
15, and the upper half of bin 16), from 8 to 31 angstrom each whole angstrom is a bin (16 to 38), and bin 39 holds all
from 31 angstrom. The official implementation's labels are these, to the last value (tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.files import replacing
from copra.hdf5 import new_hdf5
from copra.progress import progress
from copra.structure.distances import node_distances
from copra.structure.interface import Interface
from copra.structure.residues import Structure
from copra.structure.spool import Spool
from copra.structure.store import StructureStore, each_interface, interface_ids

N_BINS = 40
ROUNDED_BELOW_ANGSTROM = 8.0
FORMAT = "copra distance bins 1"
# middles of the bins; the last one has no end, and counts as if it ended where the next would begin
BIN_CENTRES_ANGSTROM = np.concatenate((np.arange(16) / 2, [(7.75 + 9) / 2], np.arange(9, 32) + 0.5))


def distance_bin(distance_angstrom: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """The bin of each distance, 0 to 39."""
    near = np.rint(distance_angstrom * 2)
    far = np.minimum(np.floor(distance_angstrom) + 8, N_BINS - 1)
    return np.where(distance_angstrom < ROUNDED_BELOW_ANGSTROM, near, far).astype(np.uint8)


def measure_distances(interfaces: Path, *, store: Path, out: Path) -> None:
    """Bin the distances between the nodes of each interface of a file, from the structures it was cut from.

    Raises InputError where an interface was cut from another coordinate file than the store's.
    """
    names = interface_ids([interfaces])
    with StructureStore(store) as structures:
        write_distance_bins(_measured(names, structures, interfaces), out)


def _measured(names: list[str], structures: StructureStore, path: Path) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """The bins [n, n] of each interface of a file, one at a time."""
    interfaces = progress(each_interface(path, names), "distances", len(names))
    for pdb_id, of_entry in groupby(interfaces, key=lambda cut: cut.complex_id.split(":")[0]):
        structure = structures.read(pdb_id)
        for cut in of_entry:
            yield cut.complex_id, distance_bin(node_distances(structure, _residues(structure, cut, path)))


def _residues(structure: Structure, cut: Interface, path: Path) -> npt.NDArray[np.int64]:
    """The interface's nodes as indices into the structure's residues [n]."""
    if cut.file_sha256 != structure.file_sha256:
        raise InputError(
            f"{path}: {cut.complex_id} was cut from a file of sha256 {cut.file_sha256}, here it is another"
        )
    residues = np.full(len(cut.chain), -1, dtype=np.int64)
    for order, name in enumerate(cut.chain_ids):
        part = structure.chain_residues(structure.chain_ids.index(name))
        own = np.flatnonzero(cut.chain == order)
        place = {int(index): i for i, index in enumerate(structure.arrays["polymer_index"][part], start=part.start)}
        residues[own] = [place[int(index)] for index in cut.polymer_index[own]]
    return residues


def write_distance_bins(bins: Iterable[tuple[str, npt.NDArray[np.uint8]]], path: Path) -> None:
    """Write the symmetric bins [n, n] of complexes, as their upper triangles one after another.

    Each complex is put away on disk before the next one is asked for.
    """
    with replacing(path) as temporary, Spool({"bin": ("u1", ())}, path.parent) as spool:
        found = [(name, len(b), spool.add("bin", b[np.triu_indices(len(b))])) for name, b in bins]
        found.sort(key=lambda complex_: complex_[0])
        with new_hdf5(temporary) as file:
            file.attrs["format"] = FORMAT
            names = np.array([name.encode() for name, _, _ in found] or [b""], dtype="S")[: len(found)]
            file.create_dataset("complex_id", data=names)
            file.create_dataset("n_nodes", data=np.array([n_nodes for _, n_nodes, _ in found], dtype="i4"))
            spool.write("bin", [place for _, _, place in found], file)


class DistanceBins:
    """The bins of complexes from several files, read one complex at a time; any number of threads may read."""

    def __init__(self, paths: list[Path], complex_ids: list[str]) -> None:
        """Look up the complexes; raises InputError where a file is none of bins, or no file holds a complex."""
        wanted = set(complex_ids)
        self._place: dict[str, tuple[npt.NDArray[np.uint8], int, int]] = {}
        for path in sorted(paths):
            with _open(path) as file:
                names = [raw.decode() for raw in file["complex_id"][:]]
                sizes = file["n_nodes"][:].astype(np.int64)
                offset = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
                values = _mapped(file["bin"], path)
            for i, name in enumerate(names):
                if name in wanted:
                    self._place[name] = (values, int(offset[i]), int(sizes[i]))
        missing = sorted(wanted - set(self._place))
        if missing:
            raise InputError(f"no distances of {len(missing)} complexes in {len(paths)} files: {missing[:10]}")

    def read(self, complex_id: str) -> npt.NDArray[np.uint8]:
        """The bins between all nodes of the complex's interface, uint8 [n, n]."""
        values, start, n = self._place[complex_id]
        upper = np.triu_indices(n)
        bins = np.empty((n, n), dtype=np.uint8)
        bins[upper] = values[start : start + n * (n + 1) // 2]
        bins.T[upper] = bins[upper]
        return bins


def _open(path: Path) -> h5py.File:
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 file: {error}") from error
    if file.attrs.get("format") != FORMAT:
        found = file.attrs.get("format")
        file.close()
        raise InputError(f"{path}: expected a file of the format '{FORMAT}', found '{found}'")
    return file


def _mapped(dataset: h5py.Dataset, path: Path) -> npt.NDArray[np.uint8]:
    if dataset.size == 0:
        return np.zeros(0, dtype=np.uint8)
    view = np.memmap(path, dtype=np.uint8, mode="r", offset=dataset.id.get_offset(), shape=dataset.shape)
    return view.view(np.ndarray)
