"""Co-Former: a dual-path transformer over the sequence embedding S and the pair embedding Z of an interface.

Equation numbers are those of the CoPRA paper (AAAI 2025). One block is SSF -> layer norm -> feed-forward on both
paths; SSF is structure-guided attention (1-3) and then the outer-product update of the pairs (4-5). Choices where
the paper's text is silent or cannot be trained as printed:
- (3) is printed without output projection and residual; both are here, and the feed-forward has a residual too.
- the mask M is applied before the softmax (as minus infinity), so that attention weights still sum to one.
- the d_s x d_s outer product of (4) is taken of a linear squeeze to a few channels.
- queries and keys carry rotary positions: the index in the node list, special nodes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from copra.model.heads import AffinityHead
from copra.model.layers import SwiGLU, rotary_tables, rotate
from copra.model.pair_features import N_RESIDUE_TYPES, PADDING_TYPE, Nodes, PairEncoder

COMPLEX_NODE, PROTEIN_NODE, RNA_NODE = 0, 1, 2
PROTEIN, RNA = 0, 1
SEQUENCE_EXPANSION, PAIR_EXPANSION = 4, 2  # feed-forward width over path width, before SwiGLU's 2/3


@dataclass(frozen=True)
class CoformerShape:
    """All that the weights' shapes depend on; `protein_lm_width` and `rna_lm_width` are 0 without language model."""

    blocks: int
    sequence_width: int
    pair_width: int
    heads: int
    outer_product_width: int
    head_width: int
    dropout: float
    protein_lm_width: int
    rna_lm_width: int


class AffinityModel(nn.Module):
    """Interfaces -> standardised dG, by Co-Former and an MLP on the complex node."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        self.coformer = Coformer(shape)
        self.head = AffinityHead(shape.sequence_width, shape.head_width)

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> Tensor:
        """Standardised dG, [B]; arguments as of `Coformer`."""
        s, _ = self.coformer(nodes, protein_lm, rna_lm)
        return self.head(s[:, COMPLEX_NODE])


class Coformer(nn.Module):
    """Nodes (and language-model embeddings) -> S [B, L, sequence_width] and Z [B, L, L, pair_width]."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        width = shape.sequence_width
        self.type_embedding = nn.Embedding(N_RESIDUE_TYPES, width, padding_idx=PADDING_TYPE)
        self.protein_projection = nn.Linear(shape.protein_lm_width, width) if shape.protein_lm_width else None
        self.rna_projection = nn.Linear(shape.rna_lm_width, width) if shape.rna_lm_width else None
        self.input_norm = nn.LayerNorm(width)
        self.pair_encoder = PairEncoder(shape.pair_width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))

    def forward(self, nodes: Nodes, protein_lm: Tensor | None, rna_lm: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run all blocks.

        `protein_lm` [B, L, width of the protein model] and `rna_lm` [B, L, width of the RNA model] hold the
        embeddings at the rows of their molecule's residues and anything finite elsewhere; None without such a model.
        """
        s = self.type_embedding(nodes.residue_type)  # the special nodes' own types are their learned tokens
        s = s + _projected(self.protein_projection, protein_lm, nodes.molecule == PROTEIN)
        s = s + _projected(self.rna_projection, rna_lm, nodes.molecule == RNA)
        s = self.input_norm(s)
        z = self.pair_encoder(nodes)
        allowed = attention_mask(nodes)
        for block in self.blocks:
            s, z = block(s, z, allowed)
        return s, z


class Block(nn.Module):
    """{S, Z}^(l) -> {S, Z}^(l+1) = FFN(LN(SSF(S, Z)))."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        self.attention = StructureGuidedAttention(shape)
        self.outer_product = OuterProductUpdate(shape)
        self.sequence_norm = nn.LayerNorm(shape.sequence_width)
        self.sequence_transition = Transition(shape.sequence_width, SEQUENCE_EXPANSION)
        self.pair_norm = nn.LayerNorm(shape.pair_width)
        self.pair_transition = Transition(shape.pair_width, PAIR_EXPANSION)

    def forward(self, s: Tensor, z: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """S [B, L, d_s], Z [B, L, L, d_z], allowed [B, L, L] -> the same shapes."""
        s = s + self.attention(s, z, allowed)
        z = z + self.outer_product(s)
        s, z = self.sequence_norm(s), self.pair_norm(z)
        return s + self.sequence_transition(s), z + self.pair_transition(z)


class StructureGuidedAttention(nn.Module):
    """Multi-head attention whose scores are biased by the pair embedding, equations 1 to 3."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        width = shape.sequence_width
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.pair_bias = nn.Linear(shape.pair_width, shape.heads, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, s: Tensor, z: Tensor, allowed: Tensor) -> Tensor:
        """The update of S, [B, L, d_s]."""
        b, length, width = s.shape
        # (1) Q, K, V = S [W_Q, W_K, W_V], each [B, H, L, d_k]
        q, k, v = self.to_qkv(s).view(b, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        cosine, sine = rotary_tables(length, width // self.heads, s.device)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
        # (2) A = Q K^T / sqrt(d_k) + Linear(Z); the mask joins the bias here
        bias = self.pair_bias(z).permute(0, 3, 1, 2)  # [B, H, L, L]
        bias = bias.masked_fill(~allowed[:, None], float("-inf"))
        # (3) softmax(A) V, under M
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
        return F.dropout(self.out(y.transpose(1, 2).reshape(b, length, width)), self.dropout, self.training)


class OuterProductUpdate(nn.Module):
    """Pair update from the outer product of the updated sequence, equations 4 and 5."""

    def __init__(self, shape: CoformerShape) -> None:
        super().__init__()
        squeezed = shape.outer_product_width
        self.squeeze = nn.Linear(shape.sequence_width, squeezed)
        self.weight = nn.Parameter(torch.empty(squeezed, squeezed, shape.pair_width))
        nn.init.normal_(self.weight, std=1 / squeezed)
        self.bias = nn.Parameter(torch.zeros(shape.pair_width))

    def forward(self, s: Tensor) -> Tensor:
        """S [B, L, d_s] -> Linear(o_ij) with o_ij = s_i (x) s_j, [B, L, L, d_z].

        One side meets the weight first, so the [L, L, c, c] outer products never lie in memory.
        """
        u = self.squeeze(s)  # [B, L, c]
        b, length, _ = u.shape
        half = torch.einsum("aez,bje->bajz", self.weight, u).flatten(2)  # [B, c, L * d_z]
        return (u @ half).view(b, length, length, -1) + self.bias  # (4) and (5)


class Transition(nn.Module):
    """The feed-forward module, SwiGLU."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        inner = 2 * expansion * width // 3
        self.layers = nn.Sequential(SwiGLU(width, inner), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        return self.layers(x)


def attention_mask(nodes: Nodes) -> Tensor:
    """The mask M: which node (row) may attend to which (column), bool [B, L, L].

    Nobody attends to padding. The protein node attends to itself and protein residues, the RNA node to itself
    and RNA residues, the complex node and the residues to all.
    """
    b, length = nodes.residue_type.shape
    allowed = nodes.valid[:, None, :].expand(b, length, length).clone()
    for row, molecule in ((PROTEIN_NODE, PROTEIN), (RNA_NODE, RNA)):
        own = nodes.molecule == molecule  # [B, L]
        own[:, row] = True
        allowed[:, row] = own
    return allowed


def _projected(projection: nn.Linear | None, embedding: Tensor | None, rows: Tensor) -> Tensor | float:
    if projection is None:
        return 0.0
    if embedding is None:
        raise ValueError("this model was built for language-model embeddings, and none were given")
    return projection(embedding) * rows.unsqueeze(-1)
