"""HDF5 stores of structures and of interfaces.

One file per shard, uncompressed. The arrays of all entries stand one after another. The group /entries/<id> of an
entry has what is known of it in attributes, and the ranges [start, stop] of its rows in the arrays; of interfaces the
same stands in one JSON text, the bytes of /complexes: {id: [chain ids, sha256 of their sequences, sha256 of the
coordinate file, [start, stop]]}. Datasets of a quantity have its unit in the attribute `unit`. Same entries, same
bytes: they stand sorted by id and nothing in the file holds a time.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.files import replacing
from copra.hdf5 import new_hdf5
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.residues import ATOM_ARRAYS, RESIDUE_ARRAYS, Structure
from copra.structure.spool import Spool

STRUCTURES = "copra structures 2"
INTERFACES = "copra interfaces 3"
CHAIN_TEXTS = ("chain_ids", "label_chains", "molecule_types", "sequences", "sequence_origins")
UNITS = {"angstrom": "angstrom", "angstrom2": "angstrom^2"}  # last word of a dataset's name -> unit


def _offsets(sizes: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(list(sizes))]).astype(np.int64)


def _joined(parts: list[npt.NDArray], kind: str, shape: tuple[int, ...]) -> npt.NDArray:
    return np.concatenate([np.zeros((0, *shape), dtype=kind), *parts]).astype(kind)


def _write(group: h5py.Group, name: str, values: npt.NDArray) -> None:
    _say_unit(group.create_dataset(name, data=values, track_times=False), name)


def _say_unit(dataset: h5py.Dataset, name: str) -> None:
    unit = UNITS.get(name.rsplit("_", 1)[-1])
    if unit:
        dataset.attrs["unit"] = unit


def _describe(group: h5py.Group, name: str, values: dict[str, Any]) -> None:
    """A group with `values` as its attributes; texts as UTF-8 of fixed length, which are written faster."""
    made = group.create_group(name)
    for key, value in values.items():
        made.attrs.create(key, _fixed(value) if isinstance(value, str) else value)


def _fixed(text: str) -> npt.NDArray:
    data = text.encode()
    return np.array(data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))


def _json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _text(value: Any) -> str:
    return str(value.decode()) if isinstance(value, bytes) else str(value)


def write_structures(structures: Iterable[Structure], path: Path) -> None:
    """Write full residues and heavy atoms of several entries, in any order; each id may occur once.

    Each structure is put away on disk before the next one is asked for: memory holds one, and what stands in the
    attributes of all.
    """
    arrays = {**RESIDUE_ARRAYS, **ATOM_ARRAYS, "n_atoms": ("i4", ()), "chain_texts": ("u1", ())}
    with replacing(path) as temporary, Spool(arrays, path.parent) as spool:
        # by id: what is told of an entry, and where its rows of each kind are
        found = [(s.pdb_id, _told_of(s), _put_away(s, spool)) for s in structures]
        ordered = sorted(found, key=lambda entry: entry[0])
        parts = {kind: [places[kind] for _, _, places in ordered] for kind in ("residues", "atoms", "chain_texts")}
        ranges = {kind: _offsets(place.stop - place.start for place in places) for kind, places in parts.items()}
        with new_hdf5(temporary) as file:
            file.attrs["format"] = STRUCTURES
            entries = file.create_group("entries")
            for i, (pdb_id, values, _) in enumerate(ordered):
                _describe(entries, pdb_id, values | {name: offsets[i : i + 2] for name, offsets in ranges.items()})
            spool.write("chain_texts", parts["chain_texts"], file)
            for kind, names in (("residues", RESIDUE_ARRAYS), ("atoms", ATOM_ARRAYS)):
                made = file.create_group(kind)
                for name in names:
                    _say_unit(spool.write(name, parts[kind], made), name)
            spool.write("n_atoms", parts["residues"], file["residues"])


def _told_of(structure: Structure) -> dict[str, Any]:
    """What the attributes of an entry say, but for the ranges of its rows."""
    resolution = structure.resolution_angstrom
    return {
        "file_sha256": structure.file_sha256,
        "method": structure.method,
        "resolution_angstrom": math.nan if resolution is None else resolution,
        "release_date": structure.release_date,
        "n_models": structure.n_models,
        "handled": _json(structure.handled),
    }


def _put_away(structure: Structure, spool: Spool) -> dict[str, slice]:
    """Where the rows of a structure's residues, atoms and texts are in the spool."""
    # ids and sequences as one JSON text in a byte array: an attribute may have 64 kB only
    text = _json({name: list(getattr(structure, name)) for name in CHAIN_TEXTS}).encode()
    places = {"chain_texts": spool.add("chain_texts", np.frombuffer(text, dtype="u1"))}
    for kind, names in (("residues", RESIDUE_ARRAYS), ("atoms", ATOM_ARRAYS)):
        for name in names:
            places[kind] = spool.add(name, structure.arrays[name])
    spool.add("n_atoms", np.diff(structure.atom_offsets))
    return places


def _open(path: Path, kind: str) -> h5py.File:
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 store: {error}") from error
    if file.attrs.get("format") != kind:
        found = file.attrs.get("format")
        file.close()
        raise InputError(f"{path}: expected a store of the format '{kind}', found '{found}'")
    return file


class StructureStore:
    """A store of structures, open for reading; use it with `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path, STRUCTURES)
        self.pdb_ids: list[str] = list(self._file["entries"])
        # opening a dataset takes longer than reading one entry of it
        self._residues = {name: self._file["residues"][name] for name in (*RESIDUE_ARRAYS, "n_atoms")}
        self._atoms = {name: self._file["atoms"][name] for name in ATOM_ARRAYS}
        self._chain_texts = self._file["chain_texts"]

    def __enter__(self) -> StructureStore:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def read(self, pdb_id: str) -> Structure:
        """One entry; raises InputError when it is not in the store."""
        if pdb_id not in self._file["entries"]:
            raise InputError(f"{self._path}: no entry '{pdb_id}' among its {len(self.pdb_ids)} entries")
        told: dict[str, Any] = dict(self._file["entries"][pdb_id].attrs)
        part = {name: slice(*(int(x) for x in told[name])) for name in ("residues", "atoms", "chain_texts")}
        arrays = {name: self._residues[name][part["residues"]] for name in RESIDUE_ARRAYS}
        arrays |= {name: self._atoms[name][part["atoms"]] for name in ATOM_ARRAYS}
        chains = json.loads(self._chain_texts[part["chain_texts"]].tobytes())
        resolution = float(told["resolution_angstrom"])
        texts: dict[str, Any] = {name: _text(told[name]) for name in ("file_sha256", "method", "release_date")}
        texts |= {name: tuple(chains[name]) for name in CHAIN_TEXTS}
        return Structure(
            pdb_id=pdb_id,
            resolution_angstrom=None if math.isnan(resolution) else resolution,
            n_models=int(told["n_models"]),
            handled=json.loads(_text(told["handled"])),
            **texts,
            arrays=arrays,
            atom_offsets=_offsets(self._residues["n_atoms"][part["residues"]]),
        )


def read_structures(path: Path) -> dict[str, Structure]:
    """Every entry of a store by its id."""
    with StructureStore(path) as store:
        return {pdb_id: store.read(pdb_id) for pdb_id in store.pdb_ids}


def write_interfaces(interfaces: Iterable[Interface], path: Path) -> None:
    """Write interfaces, in any order; each complex id may occur once. Memory holds one, as in `write_structures`."""
    with replacing(path) as temporary, Spool(NODE_ARRAYS, path.parent) as spool:
        found = [_put_nodes_away(interface, spool) for interface in interfaces]
        ordered = sorted(found, key=lambda one: one[0])
        places = [place for _, _, _, _, place in ordered]
        offsets = _offsets(place.stop - place.start for place in places)
        # one JSON text for all: 30,000 groups with attributes take a quarter of a minute to read, and hold 64 kB each
        told = {one[0]: [*one[1], offsets[row : row + 2].tolist()] for row, one in enumerate(ordered)}
        if len(told) < len(ordered):
            twice = [a[0] for a, b in itertools.pairwise(ordered) if a[0] == b[0]]
            raise InputError(f"{path}: two interfaces of the complexes {twice[:10]}")
        with new_hdf5(temporary) as file:
            file.attrs["format"] = INTERFACES
            _write(file, "complexes", np.frombuffer(_json(told).encode(), dtype="u1"))
            _write(file, "centres_angstrom", _joined([one[2][None] for one in ordered], "f4", (3, 3)))
            _write(file, "buried_area_angstrom2", np.array([one[3] for one in ordered], dtype="f8"))
            nodes = file.create_group("nodes")
            for name in NODE_ARRAYS:
                _say_unit(spool.write(name, places, nodes), name)


def _put_nodes_away(i: Interface, spool: Spool) -> tuple[str, list[Any], npt.NDArray[np.float32], float, slice]:
    """Id, texts, centres and area of an interface, and where its nodes are in the spool."""
    places = [spool.add(name, getattr(i, name)) for name in NODE_ARRAYS]
    texts = [i.chain_ids, i.chain_sequence_sha256, i.file_sha256]
    return i.complex_id, texts, i.centres_angstrom, i.buried_area_angstrom2, places[0]


@dataclass(frozen=True)
class InterfaceEntry:
    """What is known of one complex of a file of interfaces, and which rows of its arrays are the complex's."""

    chain_ids: tuple[str, ...]
    chain_sequence_sha256: tuple[str, ...]
    file_sha256: str
    row: int  # in centres_angstrom and buried_area_angstrom2
    nodes: slice


def open_interfaces(path: Path) -> h5py.File:
    """Open a file of interfaces to read; raises InputError where it is none."""
    return _open(path, INTERFACES)


def interface_entries(file: h5py.File, complex_ids: Collection[str]) -> dict[str, InterfaceEntry]:
    """The entries of an open file that are among `complex_ids`, sorted."""
    wanted = set(complex_ids)
    return {
        name: InterfaceEntry(tuple(chains), tuple(keys), sha256, row, slice(*nodes))
        for row, (name, (chains, keys, sha256, nodes)) in enumerate(_told(file).items())
        if name in wanted
    }


def interface_ids(paths: list[Path]) -> list[str]:
    """The complexes of several files of interfaces, sorted."""
    found: list[str] = []
    for path in paths:
        with open_interfaces(path) as file:
            found += _told(file)
    return sorted(found)


def _told(file: h5py.File) -> dict[str, Any]:
    """What a file of interfaces says of its complexes, in the order of their rows."""
    try:
        told: dict[str, Any] = json.loads(file["complexes"][()].tobytes())
    except ValueError as error:
        raise InputError(f"{file.filename}: damaged: /complexes is no JSON text: {error}") from error
    return dict(sorted(told.items()))


def read_interfaces(paths: list[Path], complex_ids: list[str]) -> dict[str, Interface]:
    """The interfaces of the complexes from whichever file holds each, in the order of `complex_ids`.

    Raises InputError naming the complexes that no file holds.
    """
    found: dict[str, Interface] = {}
    for path in paths:
        found |= {one.complex_id: one for one in each_interface(path, set(complex_ids))}
    missing = [name for name in complex_ids if name not in found]
    if missing:
        raise InputError(f"no interface of the complexes {missing[:10]} ({len(missing)} in all) in {len(paths)} files")
    return {name: found[name] for name in complex_ids}


def each_interface(path: Path, complex_ids: Collection[str]) -> Iterator[Interface]:
    """Those interfaces of a file that are among `complex_ids`, sorted by id, one at a time."""
    with open_interfaces(path) as file:
        arrays = {name: file["nodes"][name] for name in NODE_ARRAYS}
        centres, areas = file["centres_angstrom"][()], file["buried_area_angstrom2"][()]
        for name, entry in interface_entries(file, complex_ids).items():
            yield Interface(
                complex_id=name,
                chain_ids=entry.chain_ids,
                chain_sequence_sha256=entry.chain_sequence_sha256,
                centres_angstrom=centres[entry.row],
                file_sha256=entry.file_sha256,
                buried_area_angstrom2=float(areas[entry.row]),
                **{array: values[entry.nodes] for array, values in arrays.items()},
            )
