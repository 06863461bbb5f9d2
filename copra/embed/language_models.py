"""Language models by configuration: load one, embed sequences with it.

Weights come from a released checkpoint file or, as `random:<seed>`, from a seeded generator: then the
architecture is the real one and the numbers carry no knowledge. Which of the two was used travels with
every embedding.

On a CPU all is float32. On a GPU the matrix products may run in bfloat16 or float16 (autocast); what comes out
is float32 in any case.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from copra.bounded import unpacked_bytes
from copra.config import Esm2, Rinalmo
from copra.embed import esm2, rinalmo, windows
from copra.errors import ConfigError, CopraError, InputError
from copra.files import sha256_of_file, sha256_of_text

Autocast = Literal["none", "bf16", "fp16", "auto"]

MOLECULE_TYPE = {"esm2": "protein", "rinalmo": "rna"}
# Residues over which neighbouring windows of a too long sequence are blended: a quarter of the models' 1,022, the
# most that `windows.cut` takes, so that residues near the cut end of one window are mostly the other's.
WINDOW_OVERLAP = 255
# what torch raises for a file that is no checkpoint, damaged, or a pickle that asks for more than tensors
CANNOT_READ = (
    pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RuntimeError, EOFError, OSError, ValueError, LookupError,
    TypeError, AttributeError, AssertionError, ArithmeticError, MemoryError,
)  # fmt: skip


@dataclass
class LanguageModel:
    """A loaded model; `weights` is `sha256:<hex>` of the checkpoint or `random:<seed>`."""

    encoder: nn.Module
    tokenize: Callable[[str], list[int]]
    padding: int
    width: int
    weights: str
    device: torch.device
    max_residues: int
    window_overlap: int
    autocast: torch.dtype | None  # of the matrix products; None = float32

    @property
    def precision(self) -> str:
        """`float32`, `bfloat16` or `float16`: what the matrix products were computed in."""
        return _name(self.autocast)

    def embed(self, sequences: list[str], max_tokens: int | None = None) -> list[np.ndarray]:
        """One float32 array [residues, width] per sequence, without the start and end tokens.

        At most `max_tokens` tokens go through the model at a time, padding included (but for a single piece that
        has more by itself); None = all at once. A sequence longer than `max_residues` goes as windows, batched
        like whole sequences, with a line in the log. Raises InputError on an empty sequence and CopraError where
        a value is not finite.
        """
        keys = [sha256_of_text(sequence) for sequence in sequences]
        plan = windows.plan(dict(zip(keys, sequences, strict=True)), self.max_residues, self.window_overlap)
        shapes = {name: (1, len(piece)) for name, piece in plan.pieces.items()}
        batches = [list(shapes)] if max_tokens is None else windows.token_batches(shapes, max_tokens)
        embedded = (
            pair
            for batch in batches
            for pair in zip(batch, self._run([plan.pieces[name] for name in batch]), strict=True)
        )
        arrays = dict(plan.joined(embedded))
        return [arrays[key] for key in keys]

    @torch.inference_mode()
    def _run(self, pieces: list[str]) -> list[np.ndarray]:
        if not pieces:
            return []
        rows = [self.tokenize(piece) for piece in pieces]
        tokens = esm2.padded(rows, self.padding).to(self.device)
        shorter: AbstractContextManager[Any] = nullcontext()
        if self.autocast is not None:
            shorter = torch.autocast(self.device.type, dtype=self.autocast)
        with shorter:
            values = self.encoder(tokens).float().cpu().numpy()  # [B, T, width]
        cut = [values[i, 1 : len(row) - 1].copy() for i, row in enumerate(rows)]
        for piece, array in zip(pieces, cut, strict=True):
            if not np.isfinite(array).all():
                where = f"language model with weights {self.weights} in {self.precision}"
                raise CopraError(f"{where}: not finite for the sequence {piece}")
        return cut


def autocast_dtype(choice: Autocast, device: torch.device) -> torch.dtype | None:
    """The type of matrix products on `device`; None means float32, always so on a CPU.

    `auto` is bfloat16 where the GPU computes in it and float16 elsewhere. Raises ConfigError where `bf16` is asked
    of a GPU that lacks it.
    """
    if choice == "none" or device.type != "cuda":
        return None
    has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if choice == "bf16" and not has_bf16:
        name = torch.cuda.get_device_name(device)
        raise ConfigError(f"embed.autocast: {name} does not compute in bf16; expected none, fp16 or auto")
    return torch.bfloat16 if choice != "fp16" and has_bf16 else torch.float16


def precision(choice: Autocast) -> str:
    """`float32`, `bfloat16` or `float16`: what a model loaded with this choice computes in on this machine."""
    return _name(autocast_dtype(choice, this_device()))


def this_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _name(autocast: torch.dtype | None) -> str:
    return str(autocast or torch.float32).removeprefix("torch.")


def weights_description(settings: Esm2 | Rinalmo, weights: Path | None, sha256: str | None = None) -> str:
    """`random:<seed>` or `sha256:<hex>` of the checkpoint.

    Raises InputError where the configuration and the given file disagree, or the file's sum is not `sha256`.
    """
    if settings.weights.startswith("random:"):
        if weights is not None:
            raise InputError(f"{weights}: given although the configuration asks for {settings.weights}")
        return settings.weights
    if weights is None:
        raise InputError(f"no checkpoint file given for the weights '{settings.weights}'")
    if not weights.is_file():
        found = "a folder" if weights.is_dir() else "no such file"
        raise InputError(
            f"{weights}: {found}; expected the file of the {settings.family} checkpoint '{settings.weights}'"
        )
    status = weights.stat()
    found = _sha256_of(weights, status.st_size, status.st_mtime_ns)
    if sha256 is not None and found != sha256:
        raise InputError(
            f"{weights}: the checkpoint '{settings.weights}' is not what it was when it came: "
            f"found sha256:{found}, expected sha256:{sha256}"
        )
    return f"sha256:{found}"


@lru_cache(maxsize=4)
def _sha256_of(path: Path, n_bytes: int, modified_ns: int) -> str:
    """The sum of a file; of many gigabytes it takes a minute and is wanted for the description and before reading."""
    return sha256_of_file(path)


def load_language_model(
    settings: Esm2 | Rinalmo, weights: Path | None, *, autocast: Autocast = "none", sha256: str | None = None
) -> LanguageModel:
    """Build the model and load its weights, strictly.

    `autocast` is what a GPU may compute in; without it everything is float32. `sha256`, where it is known, is the
    hexadecimal sum that the checkpoint must have. Raises InputError where the sum differs, the checkpoint cannot be
    read or its tensors are not those of the configured architecture; every missing, unexpected and misshapen tensor
    is named.
    """
    description = weights_description(settings, weights, sha256)
    seed = _seed(settings.weights) if weights is None else 0
    encoder = build_encoder(settings, seed)
    if weights is not None:
        load_checkpoint(encoder, settings, weights)
    device = this_device()
    esm2.no_gradients(encoder).to(device)
    if isinstance(settings, Esm2):
        tokens = esm2.alphabet()
        tokenize: Callable[[str], list[int]] = lambda sequence: esm2.tokenize(sequence, tokens)  # noqa: E731
        padding, max_residues = tokens.padding_idx, esm2.MAX_RESIDUES
    else:
        tokenize, padding, max_residues = rinalmo.tokenize, rinalmo.PAD, rinalmo.MAX_RESIDUES
    return LanguageModel(
        encoder,
        tokenize,
        padding,
        settings.width,
        description,
        device,
        max_residues,
        WINDOW_OVERLAP,
        autocast_dtype(autocast, device),
    )


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
    """Copy the tensors of a released checkpoint into `encoder`; no code of the file is ever run.

    Raises InputError where the file cannot be read or holds another architecture.
    """
    checkpoint = _read(path, settings.family)
    where = f"{path} ({settings.model_dump()})"
    if isinstance(encoder, esm2.Esm2Encoder):
        state = esm2.official_state(checkpoint, str(path))
        expected = esm2.expected_names(encoder)
        raw, heads = checkpoint["model"], esm2.stated_heads(checkpoint)
    else:
        state = rinalmo.official_state({str(k): v for k, v in checkpoint.items()})
        expected = set(encoder.state_dict())
        raw, heads = checkpoint, None
    _check_tensors(state, encoder.state_dict(), expected, where)
    _check_heads(raw, heads, settings, where)
    encoder.load_state_dict(state, strict=False)  # names and shapes are already proven equal


def _read(path: Path, family: str) -> dict[Any, Any]:
    with path.open("rb") as handle:
        begins = handle.read(64)
    if begins.lstrip().startswith(b"<"):
        raise InputError(f"{path}: a web page, not a checkpoint of {family}; it begins with {begins[:20]!r}")
    try:
        if begins.startswith(b"PK"):
            _check_size(path, family)
        with torch.serialization.safe_globals(esm2.SAFE_CLASSES):
            # torch's present format is a zip file, which can be mapped instead of copied
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=begins.startswith(b"PK"))
    except CANNOT_READ as error:
        raise InputError(f"{path}: not a readable {family} checkpoint (cut short?): {_reason(error)}") from error
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: expected a {family} checkpoint, found a {type(checkpoint).__name__}")
    return checkpoint


def _check_size(path: Path, family: str) -> None:
    """Raise InputError where a zip file would swell: torch.save packs nothing, so another hand wrote it."""
    n_bytes, in_all = path.stat().st_size, unpacked_bytes(path)
    if in_all > n_bytes:
        raise InputError(f"{path}: not a {family} checkpoint: {n_bytes} bytes that say they unpack to {in_all}")


def _reason(error: Exception) -> str:
    """One line of PyTorch's text, without its advice to read the file in a way that may run code."""
    text = str(error).strip()
    refused = re.search(r"WeightsUnpickler error: *([^\n]*)", text)
    if refused or "weights_only" in text:
        return f"no file of tensors alone: {(refused and refused[1].strip()) or type(error).__name__}"
    return text.splitlines()[0] if text else type(error).__name__


def _check_heads(state: dict[Any, Any], stated: int | None, settings: Esm2 | Rinalmo, where: str) -> None:
    """The number of heads leaves no trace in the weights' shapes; what a file says of it otherwise must agree."""
    if stated is not None and stated != settings.heads:
        raise InputError(f"{where}: the checkpoint states {stated} attention heads, expected {settings.heads}")
    pairs = settings.width // settings.heads // 2
    for name, value in state.items():
        if str(name).endswith(".inv_freq") and isinstance(value, Tensor) and value.numel() != pairs:
            raise InputError(
                f"{where}: {name} has {value.numel()} frequencies, expected {pairs} for {settings.heads} heads"
            )


def _check_tensors(state: dict[str, Tensor], target: dict[str, Tensor], expected: set[str], where: str) -> None:
    problems = [f"missing {name}" for name in sorted(expected - set(state))]
    problems += [f"unexpected {name}" for name in sorted(set(state) - expected)]
    for name in sorted(expected & set(state)):
        if not isinstance(state[name], Tensor):
            problems.append(f"{name}: not a tensor but {type(state[name]).__name__}")
        elif state[name].shape != target[name].shape:
            problems.append(f"{name}: found {tuple(state[name].shape)}, expected {tuple(target[name].shape)}")
    if problems:
        more = f" and {len(problems) - 2} more" if len(problems) > 2 else ""
        raise InputError(
            f"{where}: the checkpoint does not fit the configured architecture:\n  {'; '.join(problems[:2])}{more}\n"
            "is it of another size or family? name the one that it is of, or give the file of this one"
        )


def _seed(weights: str) -> int:
    text = weights.removeprefix("random:")
    if not text.isdigit():
        raise InputError(f"weights '{weights}': expected random:<seed> with a whole number as seed")
    return int(text)
