"""A set of complexes that is read one at a time, without holding it in memory.

What a store holds lies uncompressed and in one piece, so its arrays are mapped into memory and a sample copies out
the rows of its own nodes: no whole chains, no HDF5 library and none of its global lock while training, any number of
threads and processes at once. In memory stay the ranges of each complex: 42 MB for 30,000, opened in 2 s.

A sample holds what never changes of the nodes: types, places, centred coordinates, and their rows of the embeddings
in the store's own precision. It is copied anew for every batch, in about 1 ms a complex; 16 complexes of 259 nodes with
two embeddings of width 1280 became a batch in half a hundredth of their training step, and threads hide that.
Features of node pairs are not kept: 18 numbers for each of 259 x 259 pairs are 4.8 MB a complex, 1.5 GB for the
labelled records and 145 GB for PRI30k. They follow from the coordinates, and the pair encoder computes them where it
needs them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from copra.config_experiments import Network
from copra.config_model import Architecture
from copra.errors import InputError
from copra.model.pair_features import N_SPECIAL
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.store import InterfaceEntry, interface_entries, open_interfaces
from copra.train.embeddings import Embedded, Embeddings, embeddings_of, mapped
from copra.train.samples import Sample, SampleSet, build_sample


@dataclass(frozen=True)
class Rows:
    """The arrays of one file of interfaces."""

    nodes: dict[str, np.ndarray]
    centres_angstrom: np.ndarray


@dataclass(frozen=True)
class Complexes(Embedded):
    """Complexes in the order of `ids`; see `open_complexes`."""

    ids: list[str]
    sizes: list[int]  # nodes, the special ones included
    interface_nodes: int
    _entries: list[tuple[Rows, InterfaceEntry]]
    _language_models: tuple[Embeddings | None, Embeddings | None]

    def __len__(self) -> int:
        return len(self.ids)

    def interface(self, i: int) -> Interface:
        """The stored interface of complex i."""
        rows, entry = self._entries[i]
        nodes: dict[str, Any] = {name: array[entry.nodes] for name, array in rows.nodes.items()}
        return Interface(
            complex_id=self.ids[i],
            chain_ids=entry.chain_ids,
            chain_sequence_sha256=entry.chain_sequence_sha256,
            centres_angstrom=rows.centres_angstrom[entry.row],
            file_sha256=entry.file_sha256,
            **nodes,
        )

    def sample(self, i: int, label: float) -> Sample:
        """Complex i with its label (dG in kcal/mol; NaN where there is none)."""
        protein, rna = (lm.by_key if lm else None for lm in self._language_models)
        return build_sample(self.interface(i), self.interface_nodes, label, protein, rna)

    def fingerprint(self) -> str:
        """sha256 over the complexes: their nodes as stored, and whose embeddings stand beside them.

        Embeddings are told by the model's description and the sequences, not by their values, which may be 40 GB.
        """
        digest = hashlib.sha256(f"{self.interface_nodes} {self.weights_text}".encode())
        for name, (rows, entry) in zip(self.ids, self._entries, strict=True):
            digest.update(json.dumps([name, entry.chain_ids, entry.chain_sequence_sha256]).encode())
            digest.update(rows.centres_angstrom[entry.row].tobytes())
            for array in rows.nodes.values():
                digest.update(array[entry.nodes].tobytes())
        return digest.hexdigest()


def open_complexes(
    ids: list[str], *, interfaces: list[Path], protein: list[Path], rna: list[Path], interface_nodes: int
) -> Complexes:
    """Open the complexes `ids`, in this order; `protein` and `rna` are shards of embeddings, none without.

    Of a larger interface the `interface_nodes` residues nearest to the partner molecule are taken. Raises InputError
    where no file holds a complex, a chain has no embedding, files of embeddings differ in their model, or a file is
    incomplete.
    """
    found: dict[str, tuple[Rows, InterfaceEntry]] = {}
    wanted = set(ids)
    for path in sorted(interfaces):
        with open_interfaces(path) as file:
            here = interface_entries(file, wanted)
            if here:
                rows = _rows(file, path)
                found |= {name: (rows, entry) for name, entry in here.items()}
    missing = [name for name in ids if name not in found]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(ids)} complexes are in none of {len(interfaces)} files of interfaces: "
            f"{missing[:10]}"
        )
    entries = [found[name] for name in ids]
    keys: dict[int, dict[str, str]] = {0: {}, 1: {}}
    sizes = []
    for name, (rows, entry) in zip(ids, entries, strict=True):
        molecule, chain = rows.nodes["molecule"][entry.nodes], rows.nodes["chain"][entry.nodes]
        sizes.append(min(len(molecule), interface_nodes) + N_SPECIAL)
        for kind, wanted_keys in keys.items():
            for c in np.unique(chain[molecule == kind]):
                wanted_keys.setdefault(entry.chain_sequence_sha256[c], f"{name}, chain {entry.chain_ids[c]}")
    models = (embeddings_of(protein, keys[0]), embeddings_of(rna, keys[1]))
    return Complexes(list(ids), sizes, interface_nodes, entries, models)


def check_language_models(complexes: SampleSet, settings: Architecture | Network) -> None:
    """Raise InputError where the embeddings are not those of the language models that the settings name."""
    expected = (settings.protein_lm, settings.rna_lm)
    for kind, found, wanted in zip(("protein", "RNA"), complexes.language_models, expected, strict=True):
        if found != wanted:
            raise InputError(f"{kind} embeddings of '{found}', expected '{wanted}'")


def _rows(file: h5py.File, path: Path) -> Rows:
    nodes = {name: mapped(file["nodes"][name], path) for name in NODE_ARRAYS}
    return Rows(nodes, mapped(file["centres_angstrom"], path))
