"""The whole sequences of complexes as samples: all residues of all chains, without coordinates.

For models that read sequences only. It looks like copra/train/complexes.py to the training loop.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from copra.errors import InputError
from copra.files import sha256_of_text
from copra.model.pair_features import BACKBONE_ATOMS, COMPLEX_TYPE, N_SPECIAL, PROTEIN_TYPE, RNA_TYPE
from copra.structure.residues import PROTEIN_LETTERS, RNA_LETTERS, type_index
from copra.train.embeddings import Embedded, Embeddings, embeddings_of
from copra.train.samples import PROTEIN, RNA, Sample, SampleSet

COLUMNS = {PROTEIN: ("protein_sequences", "protein_sha256"), RNA: ("rna_sequences", "rna_sha256")}
LETTERS = {PROTEIN: PROTEIN_LETTERS, RNA: RNA_LETTERS}


@dataclass(frozen=True)
class Chain:
    """One whole chain."""

    molecule: int
    letters: str
    key: str  # sha256 of the letters


@dataclass(frozen=True)
class Sequences(Embedded):
    """Whole sequences in the order of `ids`; see `open_sequences`."""

    ids: list[str]
    sizes: list[int]  # nodes, the special ones included
    _chains: list[list[Chain]]  # of each record, proteins first
    _language_models: tuple[Embeddings | None, Embeddings | None]

    def __len__(self) -> int:
        return len(self.ids)

    def sample(self, i: int, label: float) -> Sample:
        """Record i with its label (dG in kcal/mol; NaN where there is none)."""
        chains, n = self._chains[i], self.sizes[i]
        special, lengths = np.full(N_SPECIAL, -1), [len(chain.letters) for chain in chains]
        types = [type_index(letter, chain.molecule == PROTEIN) for chain in chains for letter in chain.letters]
        molecule = np.repeat([chain.molecule for chain in chains], lengths)
        place = np.concatenate([np.arange(length) for length in lengths])
        return Sample(
            record_id=self.ids[i],
            label=label,
            residue_type=np.array([COMPLEX_TYPE, PROTEIN_TYPE, RNA_TYPE, *types], dtype=np.int64),
            molecule=np.concatenate((special, molecule)).astype(np.int64),
            chain=np.concatenate((special, np.repeat(np.arange(len(chains)), lengths))).astype(np.int64),
            polymer_index=np.concatenate((special, place)).astype(np.int64),
            xyz_angstrom=np.zeros((n, BACKBONE_ATOMS, 3), dtype=np.float32),
            atom_mask=np.zeros((n, BACKBONE_ATOMS), dtype=np.bool_),
            protein_lm=self._rows(i, PROTEIN),
            rna_lm=self._rows(i, RNA),
        )

    def _rows(self, i: int, molecule: int) -> np.ndarray | None:
        """The embeddings of a record's chains of one molecule at their rows, zero elsewhere, [n, width]."""
        model = self._language_models[molecule]
        if model is None:
            return None
        like = next(iter(model.by_key.values()))
        rows, start = np.zeros((self.sizes[i], like.shape[1]), dtype=like.dtype), N_SPECIAL
        for chain in self._chains[i]:
            end = start + len(chain.letters)
            if chain.molecule == molecule:
                rows[start:end] = model.by_key[chain.key]
            start = end
        return rows

    def fingerprint(self) -> str:
        """sha256 over the records' names and chains, and whose embeddings stand beside them.

        Embeddings are told by the model's description and the sequences, not by their values.
        """
        chains = [[(chain.molecule, chain.letters) for chain in own] for own in self._chains]
        models = [dict(lm.description) if lm else None for lm in self._language_models]
        return hashlib.sha256(json.dumps([self.ids, chains, models], sort_keys=True).encode()).hexdigest()


def open_sequences(records: pd.DataFrame, *, protein: list[Path], rna: list[Path]) -> SampleSet:
    """The sequences of `records` (rows of the table `records`), in this order.

    `protein` and `rna` are shards of embeddings, none without. Raises InputError where a record has no chain of one
    molecule, a sequence has a letter that is none or another sha256 than its key, a chain has no embedding, or an
    embedding has another number of rows than its chain has residues.
    """
    ids = [str(name) for name in records["record_id"]]
    chains: list[list[Chain]] = [[] for _ in ids]
    for molecule, columns in COLUMNS.items():
        texts, keys = (records[column].astype(str) for column in columns)
        for own, name, text, key in zip(chains, ids, texts, keys, strict=True):
            own += _chains(name, molecule, text, key)
    models = []
    for molecule, paths in ((PROTEIN, protein), (RNA, rna)):
        named = [(name, c) for name, every in zip(ids, chains, strict=True) for c in every if c.molecule == molecule]
        models.append(embeddings_of(paths, {chain.key: name for name, chain in reversed(named)}))
        _check_rows(named, models[-1])
    sizes = [sum(len(chain.letters) for chain in own) + N_SPECIAL for own in chains]
    return Sequences(ids, sizes, chains, (models[0], models[1]))


def _chains(name: str, molecule: int, texts: str, keys: str) -> list[Chain]:
    """The chains of one record and molecule, from the comma-joined columns."""
    column, key_column = COLUMNS[molecule]
    parts, wanted = texts.split(","), keys.split(",")
    if len(parts) != len(wanted):
        raise InputError(f"record {name}: {len(parts)} {column}, expected the {len(wanted)} of {key_column}")
    for text, key in zip(parts, wanted, strict=True):
        strange = sorted(set(text) - set(LETTERS[molecule]))
        if strange or not text:
            raise InputError(f"record {name}: {column} hold {strange or 'an empty one'}, expected {LETTERS[molecule]}")
        if sha256_of_text(text) != key:
            raise InputError(f"record {name}: {column} hold one of sha256 {sha256_of_text(text)}, expected {key}")
    return [Chain(molecule, text, key) for text, key in zip(parts, wanted, strict=True)]


def _check_rows(chains: list[tuple[str, Chain]], model: Embeddings | None) -> None:
    for name, chain in chains:
        rows = len(model.by_key[chain.key]) if model else len(chain.letters)
        if rows != len(chain.letters):
            raise InputError(
                f"record {name}: {rows} rows of embedding of {chain.key}, expected {len(chain.letters)}, one a residue"
            )
