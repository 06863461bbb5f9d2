"""RiNALMo (Penić et al. 2024): the RNA language model's encoder in plain PyTorch.

Written from the published architecture so that the released checkpoints run on any machine, without
flash-attn. What differs from a textbook encoder, and is kept because the weights were trained so:
a block's residual is taken from its *normed* input; U is read as T; and the embedding is scaled for
the masked fraction (token dropout) in evaluation as well.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.model.layers import SwiGLU, rotary_tables, rotate

ALPHABET = ("<cls>", "<pad>", "<eos>", "<unk>", "<mask>", *"ACGTIRYKMSWBDHVN-")
TOKEN = {letter: index for index, letter in enumerate(ALPHABET)}
CLS, PAD, EOS, UNK, MASK = range(5)
# The model cards of the converted checkpoints (multimolecule/rinalmo*) state 1,022 nucleotides at most, that is
# 1,024 tokens with <cls> and <eos>. Rotary positions would run on, but into a range that pre-training never saw.
MAX_RESIDUES = 1022
# 15 % of the training tokens were chosen, 80 % of these became <mask>: the mean masked fraction in training
MASKED_FRACTION_IN_TRAINING = 0.15 * 0.8


def tokenize(sequence: str) -> list[int]:
    """Token ids of one RNA sequence with <cls> before and <eos> behind; U is read as T, unknown letters as <unk>."""
    letters = sequence.upper().replace("U", "T")
    return [CLS, *(TOKEN.get(letter, UNK) for letter in letters), EOS]


class RinalmoEncoder(nn.Module):
    """Token ids [B, T] -> representations [B, T, width]; parameter names are those of the released checkpoints."""

    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), width, padding_idx=PAD)
        self.transformer = _Transformer(layers, width, heads)
        self.lm_mask_head = _MaskHead(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Representations after the final layer norm, [B, T, width]; rows at padding mean nothing."""
        valid = tokens != PAD  # [B, T]
        masked = tokens == MASK
        x = self.embedding(tokens) * (~masked).unsqueeze(-1)
        masked_fraction = masked.sum(-1) / valid.sum(-1)  # [B]
        x = x * ((1 - MASKED_FRACTION_IN_TRAINING) / (1 - masked_fraction))[:, None, None]
        return self.transformer(x * valid.unsqueeze(-1), valid)

    def logits(self, representation: Tensor) -> Tensor:
        """Scores of the 22 tokens at every position, [B, T, 22]."""
        return self.lm_mask_head(representation)


class _Transformer(nn.Module):
    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.head_width = width // heads
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        cosine, sine = rotary_tables(x.shape[1], self.head_width, x.device)
        # without padding no mask is given: that leaves PyTorch its fastest kernel
        attend = None if bool(valid.all()) else valid[:, None, None, :]
        for block in self.blocks:
            x = block(x, attend, cosine, sine)
        return self.final_layer_norm(x)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.mh_attn = _Attention(width, heads)
        self.attn_layer_norm = nn.LayerNorm(width)
        inner = int(2 / 3 * 4 * width)
        # numbered 0 and 2 as in the checkpoints; 1 is their dropout, which does nothing here
        self.transition = nn.Sequential(SwiGLU(width, inner), nn.Identity(), nn.Linear(inner, width))
        self.out_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, attend: Tensor | None, cosine: Tensor, sine: Tensor) -> Tensor:
        x = self.attn_layer_norm(x)  # the residual starts here, behind the norm
        x = x + self.mh_attn(x, attend, cosine, sine)
        return x + self.transition(self.out_layer_norm(x))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.Wqkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, attend: Tensor | None, cosine: Tensor, sine: Tensor) -> Tensor:
        b, t, width = x.shape
        q, k, v = self.Wqkv(x).view(b, t, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)  # each [B, H, T, d]
        # the angles are float32 also where autocast made the projections shorter
        q, k = rotate(q, cosine, sine).to(v.dtype), rotate(k, cosine, sine).to(v.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=attend)
        return self.out_proj(y.transpose(1, 2).reshape(b, t, width))


class _MaskHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.layer_norm = nn.LayerNorm(width)
        self.linear2 = nn.Linear(width, len(ALPHABET))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.layer_norm(F.gelu(self.linear1(x))))


def official_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict in this module's names.

    Takes both layouts of the attention weights: `mh_attn.Wqkv` (flash) and `mh_attn.mh_attn.to_q|to_k|to_v`,
    which are stacked into Wqkv. Rotary frequencies and the `threshold` buffers are fixed numbers and are left out.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".inv_freq") or name.split(".")[-1] == "threshold":
            continue
        found[name.replace("mh_attn.mh_attn.", "mh_attn.")] = value
    for name in [n for n in found if n.endswith(".mh_attn.to_q.weight")]:
        stem = name.removesuffix("to_q.weight")
        parts = [f"{stem}{part}.weight" for part in ("to_q", "to_k", "to_v")]
        if all(part in found for part in parts):
            found[f"{stem}Wqkv.weight"] = torch.cat([found.pop(part) for part in parts])
    return found
