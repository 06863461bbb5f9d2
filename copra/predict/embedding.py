"""The language models that a package's members read: the right checkpoints or none, each sequence embedded once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from copra.embed.store import rounded
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.predict.package import Package, UsedLanguageModel

if TYPE_CHECKING:  # torch takes seconds to load
    from copra.embed.language_models import LanguageModel

MOLECULES = ("protein", "rna")
RANDOM = "random:"


class Embedder:
    """Sequences and their embeddings by molecule and sha256.

    `letters` [molecule][sha256] holds every sequence that was taken; `by_key` [molecule] the embeddings
    [residues, width], rounded as those that the members were trained on, None where no language model reads the
    molecule.
    """

    def __init__(self, package: Package, weights: dict[str, Path]) -> None:
        """Check the checkpoints; raises InputError as `Engine` does."""
        used = package.language_models
        self._settings = package.embedding
        self._used: dict[str, UsedLanguageModel | None] = dict(zip(MOLECULES, (used.protein, used.rna), strict=True))
        self._weights = check_weights(package, weights)
        self._models: dict[str, LanguageModel] = {}
        self.forget()

    def forget(self) -> None:
        """Release the sequences and their embeddings; the language models stay."""
        self.letters: dict[str, dict[str, str]] = {molecule: {} for molecule in MOLECULES}
        self.by_key: dict[str, dict[str, np.ndarray] | None] = {
            molecule: {} if used else None for molecule, used in self._used.items()
        }

    def embed(self, sequences: Iterable[tuple[str, str]]) -> None:
        """See `Engine.embed`."""
        new: dict[str, dict[str, str]] = {molecule: {} for molecule in MOLECULES}
        for molecule, text in sequences:
            key = sha256_of_text(text)
            if key not in self.letters[molecule]:
                new[molecule][key] = text
        for molecule, texts in new.items():
            by_key = self.by_key[molecule]
            if by_key is not None and texts:
                arrays = self._model(molecule).embed(list(texts.values()), self._settings.max_tokens_per_batch)
                stored = zip(texts, arrays, strict=True)
                by_key |= {key: rounded(array, self._settings.dtype, key).values for key, array in stored}
            self.letters[molecule] |= texts

    def _model(self, molecule: str) -> LanguageModel:
        """The language model of a molecule, loaded when a sequence first needs it."""
        if molecule not in self._models:
            from copra.embed.language_models import load_language_model

            used = self._used[molecule]
            assert used is not None
            path = self._weights.get(used.name)
            self._models[molecule] = load_language_model(used.settings, path, autocast=self._settings.autocast)
        return self._models[molecule]


def needed_weights(lm: UsedLanguageModel) -> str:
    """What a language model's checkpoint must be, for messages: `esm2_650M (sha256:...)`."""
    return f"{lm.name} ({lm.weights})"


def check_weights(package: Package, weights: dict[str, Path]) -> dict[str, Path]:
    """The checkpoint files by the name of their language model, all that the package needs and no other.

    Raises InputError, which says what is needed and what was given, where one is missing, of another sum, or given
    for a language model that the package does not read or reads with random weights.
    """
    used = {lm.name: lm for lm in (package.language_models.protein, package.language_models.rna) if lm}
    needed = ", ".join(needed_weights(lm) for lm in used.values()) or "no language model"
    for name in weights:
        if name not in used:
            raise InputError(f"--weights {name}={weights[name]}: the model '{package.name}' reads {needed}")
    for name, lm in used.items():
        if lm.weights.startswith(RANDOM):
            if name in weights:
                raise InputError(
                    f"--weights {name}={weights[name]}: the model '{package.name}' was trained on random weights of "
                    f"{name} ({lm.weights}), which are made from their seed; expected no file"
                )
        elif name not in weights:
            raise InputError(
                f"the model '{package.name}' needs the weights of {needed_weights(lm)}: expected "
                f"--weights {name}=FILE, found {', '.join(f'--weights {n}' for n in weights) or 'none'}"
            )
        else:
            _check_sum(lm, weights[name])
    return dict(weights)


def _check_sum(lm: UsedLanguageModel, path: Path) -> None:
    """The checkpoint must be the very file whose embeddings the members were trained on."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected the weights of {needed_weights(lm)}")
    from copra.embed.language_models import weights_description  # it keeps the sum, which loading asks for again

    found = weights_description(lm.settings, path)
    if found != lm.weights:
        raise InputError(
            f"{path}: other weights than those that the model was trained with: found {found}, "
            f"expected {needed_weights(lm)}"
        )
