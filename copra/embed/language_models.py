"""Language models by configuration: load one, embed sequences with it.

Weights come from a released checkpoint file or, as `random:<seed>`, from a seeded generator: then the
architecture is the real one and the numbers carry no knowledge. Which of the two was used travels with
every embedding.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from copra.config import Esm2, Rinalmo
from copra.embed import esm2, rinalmo
from copra.errors import CopraError, InputError
from copra.files import sha256_of_file

MOLECULE_TYPE = {"esm2": "protein", "rinalmo": "rna"}


@dataclass
class LanguageModel:
    """A loaded model; `weights` is `sha256:<hex>` of the checkpoint or `random:<seed>`."""

    encoder: nn.Module
    tokenize: Callable[[str], list[int]]
    padding: int
    width: int
    weights: str
    device: torch.device

    @torch.inference_mode()
    def embed(self, sequences: list[str]) -> list[np.ndarray]:
        """One float32 array [residues, width] per sequence, without the start and end tokens.

        Raises CopraError where a value is not finite.
        """
        rows = [self.tokenize(sequence) for sequence in sequences]
        tokens = esm2.padded(rows, self.padding).to(self.device)
        values = self.encoder(tokens).float().cpu().numpy()  # [B, T, width]
        cut = [values[i, 1 : len(row) - 1].copy() for i, row in enumerate(rows)]
        for sequence, array in zip(sequences, cut, strict=True):
            if not np.isfinite(array).all():
                raise CopraError(f"language model with weights {self.weights}: not finite for the sequence {sequence}")
        return cut


def weights_description(settings: Esm2 | Rinalmo, weights: Path | None) -> str:
    """`random:<seed>` or `sha256:<hex>`; raises InputError where the configuration and the given file disagree."""
    if settings.weights.startswith("random:"):
        if weights is not None:
            raise InputError(f"{weights}: given although the configuration asks for {settings.weights}")
        return settings.weights
    if weights is None:
        raise InputError(f"no checkpoint file given for the weights '{settings.weights}'")
    if not weights.is_file():
        raise InputError(f"{weights}: no such file; expected the {settings.family} checkpoint '{settings.weights}'")
    return f"sha256:{sha256_of_file(weights)}"


def load_language_model(settings: Esm2 | Rinalmo, weights: Path | None) -> LanguageModel:
    """Build the model and load its weights, strictly.

    Raises InputError where the checkpoint cannot be read or its tensors are not those of the configured
    architecture; every missing, unexpected and misshapen tensor is named.
    """
    description = weights_description(settings, weights)
    seed = _seed(settings.weights) if weights is None else 0
    encoder = build_encoder(settings, seed)
    if weights is not None:
        load_checkpoint(encoder, settings, weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    esm2.no_gradients(encoder).to(device)
    if isinstance(settings, Esm2):
        tokens = esm2.alphabet()
        tokenize: Callable[[str], list[int]] = lambda sequence: esm2.tokenize(sequence, tokens)  # noqa: E731
        padding = tokens.padding_idx
    else:
        tokenize, padding = rinalmo.tokenize, rinalmo.PAD
    return LanguageModel(encoder, tokenize, padding, settings.width, description, device)


def build_encoder(settings: Esm2 | Rinalmo, seed: int) -> nn.Module:
    """The configured architecture with random weights from `seed`; leaves the global generator as it was."""
    if settings.width % settings.heads or (settings.width // settings.heads) % 2:
        raise InputError(
            f"{settings.family}: width {settings.width} must be an even multiple of heads {settings.heads}"
        )
    kind = esm2.Esm2Encoder if isinstance(settings, Esm2) else rinalmo.RinalmoEncoder
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(settings.layers, settings.width, settings.heads)


def load_checkpoint(encoder: nn.Module, settings: Esm2 | Rinalmo, path: Path) -> None:
    """Copy the tensors of a released checkpoint into `encoder`; no code of the file is ever run."""
    try:
        with torch.serialization.safe_globals(esm2.SAFE_CLASSES):
            checkpoint: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path}: not a readable {settings.family} checkpoint (cut short?): {first_line}") from error
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: expected a {settings.family} checkpoint, found a {type(checkpoint).__name__}")
    if isinstance(encoder, esm2.Esm2Encoder):
        state = esm2.official_state(checkpoint, str(path))
        expected = esm2.expected_names(encoder)
    else:
        state = rinalmo.official_state({str(k): v for k, v in checkpoint.items()})
        expected = set(encoder.state_dict())
    _check_tensors(state, encoder.state_dict(), expected, f"{path} ({settings.model_dump()})")
    encoder.load_state_dict(state, strict=False)  # names and shapes are already proven equal


def _check_tensors(state: dict[str, Tensor], target: dict[str, Tensor], expected: set[str], where: str) -> None:
    problems = [f"missing {name}" for name in sorted(expected - set(state))]
    problems += [f"unexpected {name}" for name in sorted(set(state) - expected)]
    for name in sorted(expected & set(state)):
        if not isinstance(state[name], Tensor):
            problems.append(f"{name}: not a tensor but {type(state[name]).__name__}")
        elif state[name].shape != target[name].shape:
            problems.append(f"{name}: found {tuple(state[name].shape)}, expected {tuple(target[name].shape)}")
    if problems:
        shown = "\n  ".join(problems[:20])
        more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
        raise InputError(f"{where}: the checkpoint does not fit the configured architecture:\n  {shown}{more}")


def _is_zip(path: Path) -> bool:
    """Whether torch wrote the file in its present (zip) format, which can be mapped instead of copied."""
    with path.open("rb") as handle:
        return handle.read(2) == b"PK"


def _seed(weights: str) -> int:
    text = weights.removeprefix("random:")
    if not text.isdigit():
        raise InputError(f"weights '{weights}': expected random:<seed> with a whole number as seed")
    return int(text)
