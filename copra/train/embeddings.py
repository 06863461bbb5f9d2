"""Embeddings as a set of samples holds them: read-only views of the stored files, and what they say of their models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from copra.embed.store import UNREADABLE, open_embeddings, read_description
from copra.errors import InputError
from copra.train.folds import NO_LANGUAGE_MODEL


@dataclass(frozen=True)
class Embeddings:
    """The stored output of one language model: views of the files, [residues, width] by sequence sha256."""

    by_key: dict[str, np.ndarray]
    description: dict[str, str | int]


class Embedded:
    """What every set of samples with embeddings beside it can say of them."""

    _language_models: tuple[Embeddings | None, Embeddings | None]  # of the protein, of the RNA; None without

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
        """Where the embeddings come from, `esm2_650M sha256:...; rinalmo_giga sha256:...`."""
        said = [lm.description for lm in self._language_models if lm]
        return "; ".join(f"{d['language_model']} {d['weights']}" for d in said) or NO_LANGUAGE_MODEL


def embeddings_of(paths: list[Path], keys: dict[str, str]) -> Embeddings | None:
    """The embeddings of the sequences `keys` (sha256 -> who needs it, for the message)."""
    if not paths:
        return None
    description = read_description(paths)
    by_key: dict[str, np.ndarray] = {}
    for path in sorted(paths):
        with open_embeddings(path) as file:
            try:
                names, offset = file["key"][:], file["offset"][:]
                values = mapped(file["embedding"], path)
            except UNREADABLE as error:
                raise InputError(f"{path}: damaged file of embeddings: {error}") from error
        for i, raw in enumerate(names):
            key = raw.decode()
            if key in keys:
                by_key[key] = values[offset[i] : offset[i + 1]]
    missing = sorted(set(keys) - set(by_key))
    if missing:
        raise InputError(
            f"no embedding of {len(missing)} sequences in {len(paths)} files of '{description['language_model']}', "
            f"first {missing[0]} ({keys[missing[0]]})"
        )
    return Embeddings(by_key, description)


def mapped(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    """A read-only view of a dataset that lies in one piece in its file.

    Raises InputError where it lies in chunks or ends behind the end of the file.
    """
    if dataset.size == 0:
        return np.zeros(dataset.shape, dtype=dataset.dtype)
    offset = dataset.id.get_offset()
    if offset is None:
        raise InputError(f"{path}: {dataset.name} is compressed or in chunks; expected one piece")
    try:
        return np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape).view(np.ndarray)
    except ValueError as error:
        raise InputError(f"{path}: {dataset.name} ends behind the end of the file: {error}") from error
