"""What the blocks do to the pair embedding Z, one function to each pass over it, in plain PyTorch.

`rows` is R: all L rows of Z, or only the first of them where the others are not needed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pair_bias(z: Tensor, weight: Tensor) -> Tensor:
    """Linear(Z) of equation (2): z [B, R, L, d_z], weight [heads, d_z] -> [B, heads, R, L]."""
    return F.linear(z, weight).permute(0, 3, 1, 2)


def outer_product_linear(u_rows: Tensor, u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Linear(o_ij) with o_ij = u_i (x) u_j, equations (4) and (5).

    u_rows [B, R, c], u [B, L, c], weight [d_z, c * c], bias [d_z] -> [B, R, L, d_z]. One side meets the weight first,
    so that the [R, L, c, c] outer products never lie in memory.
    """
    b, length, c = u.shape
    d_z = weight.shape[0]
    by_row = weight.view(d_z, c, c)  # [d_z, c of u_i, c of u_j]
    half = torch.einsum("zae,bje->bajz", by_row, u).flatten(2)  # [B, c, L * d_z]
    return (u_rows @ half).view(b, -1, length, d_z) + bias


def paper_pair_update(
    z: Tensor,
    u_rows: Tensor,
    u: Tensor,
    outer: tuple[Tensor, Tensor],
    norm: tuple[Tensor, Tensor],
    mlp: tuple[Tensor, Tensor, Tensor, Tensor] | None,
    dropout: float,
) -> Tensor:
    """FFN(LN(z^)) with z^ = z + Linear(o), equations (4) and (5) and the pair path's end of the block.

    z [B, R, L, d_z]; u_rows, u and `outer` (weight, bias) as of `outer_product_linear`; `norm` (weight, bias [d_z]);
    `mlp` (weight, bias, weight, bias) with a ReLU between, FFN(x) = x + MLP(x), or None: LN(z^). `dropout` is the
    probability with which an entry of Linear(o) is dropped, 0 outside training.
    """
    z_hat = z + F.dropout(outer_product_linear(u_rows, u, *outer), dropout)
    x = F.layer_norm(z_hat, z_hat.shape[-1:], *norm)
    if mlp is None:
        return x
    inner_weight, inner_bias, out_weight, out_bias = mlp
    return x + F.linear(F.relu(F.linear(x, inner_weight, inner_bias)), out_weight, out_bias)


def official_pair_update(
    z: Tensor,
    u_rows: Tensor,
    u: Tensor,
    outer: tuple[Tensor, Tensor],
    projection: Tensor,
    norm: tuple[Tensor, Tensor],
    dropout: float,
) -> Tensor:
    """t + LN(t) with t = z + Linear(z + Linear(o)); arguments as of `paper_pair_update`, `projection` [d_z, d_z].

    `dropout` acts on the outer linear layer's output.
    """
    update = F.linear(z + outer_product_linear(u_rows, u, *outer), projection)
    t = z + F.dropout(update, dropout)
    return t + F.layer_norm(t, t.shape[-1:], *norm)
