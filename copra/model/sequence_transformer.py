"""LM+Transformer: self-attention over residues by their type, language models and place in the chain.

No coordinate is read. With `nodes: interface` the residues are those of the crop, which itself was cut by distance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from copra.config_experiments import SequenceTransformer as Settings
from copra.errors import InputError
from copra.model.graphs.inputs import NodeInput, Readout
from copra.model.pair_features import Nodes

EXPANSION = 4  # feed-forward width over the model's
POSITION_BASE = 10000.0


def build_affinity_model(experiment: Settings, protein_lm_width: int, rna_lm_width: int) -> SequenceTransformer:
    """The model of an experiment; the widths of the language models' embeddings are 0 without them.

    Raises InputError where the width is no even multiple of the heads.
    """
    if experiment.width % (2 * experiment.heads):
        raise InputError(f"width ({experiment.width}) must be an even multiple of heads ({experiment.heads})")
    return SequenceTransformer(experiment, protein_lm_width, rna_lm_width)


class SequenceTransformer(nn.Module):
    """A pre-norm transformer encoder, mean over the residues, dG."""

    def __init__(self, experiment: Settings, protein_lm_width: int, rna_lm_width: int) -> None:
        super().__init__()
        self.input = NodeInput(experiment.width, protein_lm_width, rna_lm_width)
        self.blocks = nn.ModuleList(
            EncoderBlock(experiment.width, experiment.heads, experiment.dropout) for _ in range(experiment.blocks)
        )
        self.norm = nn.LayerNorm(experiment.width)
        self.readout = Readout(experiment.width, experiment.dropout)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, float32 [B]."""
        present = nodes.is_residue
        x = self.input(nodes, present, protein_lm, rna_lm)
        x = x + sinusoids(nodes.polymer_index, x.shape[-1]).to(x.dtype)
        for block in self.blocks:
            x = block(x, present)
        return self.readout(self.norm(x), present)


class EncoderBlock(nn.Module):
    """x + attention(LN(x)), then x + MLP(LN(x)) (Vaswani et al. 2017, with the norm in front)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, EXPANSION * width)
        self.outer = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """[B, L, width]; only rows that are `present` (bool [B, L]) are attended to."""
        b, length, width = x.shape
        qkv = self.to_qkv(self.attention_norm(x)).view(b, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        # the third backend's gradient is not the same twice on a GPU; dropout of weights doubles the time on a CPU
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
            y = F.scaled_dot_product_attention(q, k, v, present[:, None, None])
        rate = self.dropout if self.training else 0.0
        x = x + F.dropout(self.attention_out(y.transpose(1, 2).flatten(2)), rate)
        h = self.outer(F.gelu(self.inner(self.feed_forward_norm(x))))
        return x + F.dropout(h, rate)


def sinusoids(position: Tensor, width: int) -> Tensor:
    """Sines and cosines of positions in a chain (Vaswani et al. 2017), int64 [B, L] -> float32 [B, L, width]."""
    steps = torch.arange(0, width, 2, device=position.device, dtype=torch.float32)
    angle = position[..., None] * POSITION_BASE ** (-steps / width)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)
