"""HDF5 stores of structures and of interfaces.

One file per shard, uncompressed: the arrays of all entries one after another, with offsets. Same entries, same
bytes: entries stand sorted by id and nothing in the file holds a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from copra.errors import InputError
from copra.files import replacing
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.residues import ATOM_ARRAYS, RESIDUE_ARRAYS, Structure

STRUCTURES = "copra structures 1"
INTERFACES = "copra interfaces 1"
CHAIN_TEXTS = ("chain_ids", "label_chains", "molecule_types", "sequences", "sequence_origins")
ENTRY_VALUES = ("pdb_id", "file_sha256", "method", "resolution_angstrom", "release_date", "n_models", "handled")


def _offsets(sizes: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(list(sizes))]).astype(np.int64)


def _joined(parts: list[npt.NDArray], kind: str, shape: tuple[int, ...]) -> npt.NDArray:
    return np.concatenate([np.zeros((0, *shape), dtype=kind), *parts]).astype(kind)


def _write(group: h5py.Group, name: str, values: npt.NDArray) -> None:
    dataset = group.create_dataset(name, data=values, track_times=False)
    if "angstrom" in name:
        dataset.attrs["unit"] = "angstrom"


def _write_json(group: h5py.Group, name: str, values: Any) -> None:
    """Texts and nested values as one UTF-8 JSON text in a byte array, so that any length fits."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    group.create_dataset(name, data=np.frombuffer(text, dtype="u1"), track_times=False)


def _read_json(group: h5py.Group, name: str) -> Any:
    return json.loads(group[name][()].tobytes())


def write_structures(structures: list[Structure], path: Path) -> None:
    """Write full residues and heavy atoms of several entries; each id may occur once."""
    ordered = sorted(structures, key=lambda s: s.pdb_id)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = STRUCTURES
        entries = [{name: getattr(s, name) for name in ENTRY_VALUES} for s in ordered]
        chains = [{name: list(getattr(s, name)) for name in CHAIN_TEXTS} for s in ordered]
        _write_json(file, "entries", [e | c for e, c in zip(entries, chains, strict=True)])
        _write(file, "residue_offsets", _offsets(len(s.arrays["chain"]) for s in ordered))
        _write(file, "atom_offsets", _offsets(len(s.arrays["atom_name"]) for s in ordered))
        for group, table in (("residues", RESIDUE_ARRAYS), ("atoms", ATOM_ARRAYS)):
            made = file.create_group(group)
            for name, (kind, shape) in table.items():
                _write(made, name, _joined([s.arrays[name] for s in ordered], kind, shape))
        sizes = [np.diff(s.atom_offsets) for s in ordered]
        _write(file["residues"], "n_atoms", _joined(sizes, "i4", ()))


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
        self._entries = _read_json(self._file, "entries")
        self._index = {entry["pdb_id"]: i for i, entry in enumerate(self._entries)}
        self.pdb_ids: list[str] = list(self._index)

    def __enter__(self) -> StructureStore:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def read(self, pdb_id: str) -> Structure:
        """One entry; raises InputError when it is not in the store."""
        if pdb_id not in self._index:
            raise InputError(f"{self._path}: no entry '{pdb_id}' among its {len(self.pdb_ids)} entries")
        i = self._index[pdb_id]
        residues = slice(*(int(x) for x in self._file["residue_offsets"][i : i + 2]))
        atoms = slice(*(int(x) for x in self._file["atom_offsets"][i : i + 2]))
        arrays = {name: self._file["residues"][name][residues] for name in RESIDUE_ARRAYS}
        arrays |= {name: self._file["atoms"][name][atoms] for name in ATOM_ARRAYS}
        entry = self._entries[i]
        chains: dict[str, Any] = {name: tuple(entry[name]) for name in CHAIN_TEXTS}
        return Structure(
            **{name: entry[name] for name in ENTRY_VALUES},
            **chains,
            arrays=arrays,
            atom_offsets=_offsets(self._file["residues"]["n_atoms"][residues]),
        )


def read_structures(path: Path) -> dict[str, Structure]:
    """Every entry of a store by its id."""
    with StructureStore(path) as store:
        return {pdb_id: store.read(pdb_id) for pdb_id in store.pdb_ids}


def write_interfaces(interfaces: list[Interface], path: Path) -> None:
    """Write interfaces; each complex id may occur once."""
    ordered = sorted(interfaces, key=lambda i: i.complex_id)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = INTERFACES
        names = ("complex_id", "chain_ids", "chain_sequence_sha256")
        _write_json(file, "complexes", [{name: getattr(i, name) for name in names} for i in ordered])
        _write(file, "node_offsets", _offsets(len(i.molecule) for i in ordered))
        _write(file, "centres_angstrom", _joined([i.centres_angstrom[None] for i in ordered], "f4", (3, 3)))
        nodes = file.create_group("nodes")
        for name, (kind, shape) in NODE_ARRAYS.items():
            _write(nodes, name, _joined([getattr(i, name) for i in ordered], kind, shape))


def read_interfaces(paths: list[Path], complex_ids: list[str]) -> dict[str, Interface]:
    """The interfaces of the complexes from whichever file holds each, in the order of `complex_ids`.

    Raises InputError naming the complexes that no file holds.
    """
    wanted = set(complex_ids)
    found: dict[str, Interface] = {}
    for path in paths:
        with _open(path, INTERFACES) as file:
            offsets = file["node_offsets"][()]
            for i, entry in enumerate(_read_json(file, "complexes")):
                if entry["complex_id"] in wanted:
                    part = slice(int(offsets[i]), int(offsets[i + 1]))
                    found[entry["complex_id"]] = Interface(
                        complex_id=entry["complex_id"],
                        chain_ids=tuple(entry["chain_ids"]),
                        chain_sequence_sha256=tuple(entry["chain_sequence_sha256"]),
                        centres_angstrom=file["centres_angstrom"][i],
                        **{name: file["nodes"][name][part] for name in NODE_ARRAYS},
                    )
    missing = [name for name in complex_ids if name not in found]
    if missing:
        raise InputError(f"no interface of the complexes {missing[:10]} ({len(missing)} in all) in {len(paths)} files")
    return {name: found[name] for name in complex_ids}
