"""ESM-2 (Lin et al. 2023) through the official fair-esm package, built from the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import esm
import torch
from torch import Tensor, nn

from copra.errors import InputError

# fair-esm's released files hold their hyper-parameters in this class beside the tensors; nothing else is unpickled
SAFE_CLASSES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
PREFIXES = ("encoder.sentence_encoder.", "encoder.")
TIED = "lm_head.weight"  # the same tensor as the token embedding


def alphabet() -> Any:
    """The token alphabet of every ESM-2 model."""
    return esm.data.Alphabet.from_architecture("ESM-1b")


def tokenize(sequence: str, tokens: Any) -> list[int]:
    """Token ids of one protein sequence with <cls> before and <eos> behind; unknown letters are <unk>."""
    inner = [tokens.tok_to_idx.get(letter, tokens.unk_idx) for letter in sequence.upper()]
    return [tokens.cls_idx, *inner, tokens.eos_idx]


class Esm2Encoder(nn.Module):
    """Token ids [B, T] -> representations [B, T, width] of the last layer, behind the final layer norm."""

    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.layers = layers
        self.model = esm.model.esm2.ESM2(
            num_layers=layers, embed_dim=width, attention_heads=heads, alphabet=alphabet(), token_dropout=True
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Rows at padding mean nothing."""
        return self.model(tokens, repr_layers=[self.layers])["representations"][self.layers]


def official_state(checkpoint: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    """The encoder's tensors of a released file, in the names of `Esm2Encoder`; raises InputError where there are none.

    The contact head is not used here and lies in a file of its own; rotary frequencies are fixed numbers.
    """
    state = checkpoint.get("model")
    if not isinstance(state, Mapping):
        raise InputError(f"{where}: no 'model' in this file; found {sorted(map(str, checkpoint))[:5]}, expected ESM-2")
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        if not name.startswith("contact_head.") and not name.endswith(".inv_freq"):
            found[f"model.{name}"] = value
    if f"model.{TIED}" not in found and "model.embed_tokens.weight" in found:
        found[f"model.{TIED}"] = found["model.embed_tokens.weight"]
    return found


def expected_names(encoder: Esm2Encoder) -> set[str]:
    """Names of the tensors that a checkpoint must hold."""
    names = encoder.state_dict().keys()
    return {name for name in names if ".contact_head." not in name and not name.endswith(".inv_freq")}


def no_gradients(encoder: nn.Module) -> nn.Module:
    """Switch an encoder to evaluation and freeze it."""
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    return encoder.eval()


def padded(rows: list[list[int]], padding: int) -> Tensor:
    """Token rows as one tensor [B, T], padded behind."""
    width = max(len(row) for row in rows)
    return torch.tensor([row + [padding] * (width - len(row)) for row in rows], dtype=torch.long)
