"""ESM-2 (Lin et al. 2023) in the modules of the official fair-esm package, built from the configuration.

Parameters and their names are fair-esm's. The pass through them is written here: attention goes through
PyTorch's fused kernel, and neither the letters' scores nor the averaged attention maps, which nobody reads,
are computed. A test compares with fair-esm's own pass.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import esm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.errors import InputError
from copra.model.layers import rotary_tables, rotate

# fair-esm's released files hold their hyper-parameters in this class beside the tensors; nothing else is unpickled
SAFE_CLASSES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
# In training longer proteins were cropped to 1,024 tokens, two of them <cls> and <eos> (Lin et al. 2023,
# doi:10.1126/science.ade2574, supplement). Rotary positions would run on, but into a range never seen.
MAX_RESIDUES = 1022
# 15 % of the training tokens were chosen, 80 % of these became <mask>: the mean masked fraction in training
MASKED_FRACTION_IN_TRAINING = 0.15 * 0.8
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
        self.head_width = width // heads
        self.model: Any = esm.model.esm2.ESM2(
            num_layers=layers, embed_dim=width, attention_heads=heads, alphabet=alphabet(), token_dropout=True
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Rows at padding mean nothing."""
        valid = tokens != self.model.padding_idx  # [B, T]
        masked = tokens == self.model.mask_idx
        x = self.model.embed_tokens(tokens) * (~masked).unsqueeze(-1)
        masked_fraction = masked.sum(-1) / valid.sum(-1)  # [B]
        x = x * (1 - MASKED_FRACTION_IN_TRAINING) / (1 - masked_fraction)[:, None, None]
        x = x * valid.unsqueeze(-1)
        cosine, sine = rotary_tables(tokens.shape[1], self.head_width, tokens.device)
        # without padding no mask is given: that leaves PyTorch its fastest kernel
        attend = None if bool(valid.all()) else valid[:, None, None, :]
        for layer in self.model.layers:
            x = x + _attention(layer.self_attn, layer.self_attn_layer_norm(x), attend, cosine, sine)
            x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
        normed: Tensor = self.model.emb_layer_norm_after(x)
        return normed


def _attention(module: Any, x: Tensor, attend: Tensor | None, cosine: Tensor, sine: Tensor) -> Tensor:
    """Self-attention [B, T, width] with the projections of a fair-esm MultiheadAttention."""
    b, t, width = x.shape
    q, k, v = (
        project(x).view(b, t, module.num_heads, module.head_dim).transpose(1, 2)  # [B, H, T, d]
        for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    # the angles are float32 also where autocast made the projections shorter
    q, k = rotate(q, cosine, sine).to(v.dtype), rotate(k, cosine, sine).to(v.dtype)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=attend)
    projected: Tensor = module.out_proj(y.transpose(1, 2).reshape(b, t, width))
    return projected


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


def stated_heads(checkpoint: Mapping[str, Any]) -> int | None:
    """The number of attention heads that a released file states beside its tensors; None where it states none."""
    configuration = checkpoint.get("cfg")
    stated = configuration.get("model") if isinstance(configuration, Mapping) else None
    heads = getattr(stated, "encoder_attention_heads", None)
    return heads if isinstance(heads, int) else None


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
