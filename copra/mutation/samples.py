"""Wild types and mutants as Co-Former sees them: one backbone, two sequences."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.model.pair_features import N_SPECIAL
from copra.mutation.exchange import read_changes
from copra.predict.mutated import mutated_interface
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.structure.store import read_interfaces
from copra.train.complexes import Embeddings, embeddings_of
from copra.train.folds import NO_LANGUAGE_MODEL
from copra.train.samples import PROTEIN, RNA, Sample, build_sample


@dataclass(frozen=True)
class MutationSamples:
    """The wild types of m complexes, then n mutants: a `SampleSet` in this order; see `open_mutations`."""

    ids: list[str]  # complex ids, then mutation ids
    sizes: list[int]  # nodes, the special ones included
    wild: np.ndarray  # [n] place of each mutation's wild type
    mutant: np.ndarray  # [n] place of each mutation's mutant
    interface_nodes: int
    _interfaces: list[Interface]
    _language_models: tuple[Embeddings | None, Embeddings | None]

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, i: int, label: float) -> Sample:
        """Wild type or mutant i; the label is carried along."""
        protein, rna = (lm.by_key if lm else None for lm in self._language_models)
        return build_sample(self._interfaces[i], self.interface_nodes, label, protein, rna)

    @property
    def lm_widths(self) -> tuple[int, int]:
        """Width of the protein and of the RNA language model's embeddings, 0 without."""
        protein, rna = (int(lm.description["width"]) if lm else 0 for lm in self._language_models)
        return protein, rna

    @property
    def language_models(self) -> tuple[str | None, str | None]:
        """Names of the protein and the RNA language model."""
        protein, rna = (str(lm.description["language_model"]) if lm else None for lm in self._language_models)
        return protein, rna

    @property
    def weights_text(self) -> str:
        """Where the embeddings come from, as `Complexes.weights_text`."""
        said = [lm.description for lm in self._language_models if lm]
        return "; ".join(f"{d['language_model']} {d['weights']}" for d in said) or NO_LANGUAGE_MODEL

    def fingerprint(self) -> str:
        """sha256 over the nodes of all, and whose embeddings stand beside them; as `Complexes.fingerprint`."""
        digest = hashlib.sha256(f"{self.interface_nodes} {self.weights_text} {self.wild.tolist()}".encode())
        for name, interface in zip(self.ids, self._interfaces, strict=True):
            digest.update(json.dumps([name, interface.chain_ids, interface.chain_sequence_sha256]).encode())
            digest.update(interface.centres_angstrom.tobytes())
            for array in NODE_ARRAYS:
                digest.update(getattr(interface, array).tobytes())
        return digest.hexdigest()


def open_mutations(
    table: pd.DataFrame, *, interfaces: Path, protein: list[Path], rna: list[Path], interface_nodes: int
) -> MutationSamples:
    """The samples of the rows of `mutation_records`; `protein` and `rna` are shards of embeddings, none without.

    Of a larger interface the `interface_nodes` residues nearest to the partner molecule are taken, the same of wild
    type and mutant. Raises InputError where a complex has no interface, a mutation does not fit it or a chain, wild
    type or mutant, has no embedding.
    """
    complexes = sorted(set(table["complex_id"]))
    wild = read_interfaces([interfaces], complexes)
    place = {name: i for i, name in enumerate(complexes)}
    mutants = [_mutant(row, wild[str(row.complex_id)]) for row in table.itertuples()]
    every = [*wild.values(), *mutants]
    names = [*complexes, *table["mutation_id"]]
    keys: dict[int, dict[str, str]] = {PROTEIN: {}, RNA: {}}
    for name, interface in zip(names, every, strict=True):
        for molecule, wanted in keys.items():
            for c in np.unique(interface.chain[interface.molecule == molecule]):
                wanted.setdefault(interface.chain_sequence_sha256[c], f"{name}, chain {interface.chain_ids[c]}")
    return MutationSamples(
        ids=names,
        sizes=[min(len(interface.molecule), interface_nodes) + N_SPECIAL for interface in every],
        wild=np.array([place[name] for name in table["complex_id"]], dtype=np.int64),
        mutant=np.arange(len(complexes), len(every)),
        interface_nodes=interface_nodes,
        _interfaces=every,
        _language_models=(embeddings_of(protein, keys[PROTEIN]), embeddings_of(rna, keys[RNA])),
    )


def _mutant(row: Any, wild: Interface) -> Interface:
    """The mutant of a row of `mutation_records`; several changes are made one after another."""
    chains, interface = row.mutated_chains.split(","), wild
    try:
        for change in read_changes(row.mutation, row.polymer_indices):
            interface = mutated_interface(interface, chains, change.polymer_index, change.mutant, row.mutant_sha256)
    except InputError as error:
        raise InputError(f"mutation {row.mutation_id}: {error}") from None
    return interface
