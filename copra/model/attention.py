"""The task-dependent mask M and the attention under it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from copra.model.pair_features import Nodes

COMPLEX_NODE, PROTEIN_NODE, RNA_NODE = 0, 1, 2
PROTEIN, RNA = 0, 1


def attention_mask(nodes: Nodes, within_molecules: bool) -> Tensor:
    """The mask M: which node (row) may attend to which (column), bool [B, L, L].

    Nobody attends to padding. The protein node attends to itself and protein residues, the RNA node to itself and
    RNA residues, the complex node and the residues to all. `within_molecules` keeps the residues too to their own
    molecule and its node; the complex node still attends to all, and nobody else to it.
    """
    b, length = nodes.residue_type.shape
    allowed = nodes.valid[:, None, :].expand(b, length, length).clone()
    for row, molecule in ((PROTEIN_NODE, PROTEIN), (RNA_NODE, RNA)):
        own = nodes.molecule == molecule  # [B, L]
        own[:, row] = True
        if within_molecules:
            allowed = torch.where(own[:, :, None], own[:, None, :], allowed)
        else:
            allowed[:, row] = own
    return allowed


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, allowed: Tensor, dropout: float) -> Tensor:
    """softmax(Q K^T / sqrt(d_k) + bias) V over the allowed nodes, the mask as minus infinity.

    q [B, H, R, d_k]; k, v [B, H, L, d_k]; bias [B, H, R, L]; allowed [B, R, L] -> [B, H, R, d_k].
    """
    bias = bias.masked_fill(~allowed[:, None], float("-inf"))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)


def attend_multiplied(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, allowed: Tensor, valid: Tensor, dropout: float
) -> Tensor:
    """(softmax(Q K^T / sqrt(d_k) + bias) . M) V as equation (3) prints it; arguments as of `attend`.

    The softmax runs over all valid nodes (bool [B, L]), so that a row of less than all has weights that sum to less
    than one.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
    weights = scores.masked_fill(~valid[:, None, None], float("-inf")).softmax(dim=-1)
    return F.dropout(weights * allowed[:, None], dropout) @ v
