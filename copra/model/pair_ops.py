"""The passes over the pair tensor Z of a Co-Former block: one read and at most one write of memory each.

Every function has two ways. The kernels (pair_*.cpp, float32 on a CPU) walk over the rows of Z, keep what lies between
Z and the result in the processor's cache, and compute it again for the gradient, which is written by hand. The twin in
PyTorch serves everything else (no compiler, GPU, other types); it works sample by sample and recomputes as well. Both
agree to float32's rounding; where there is dropout they draw different entries, each fixed by `torch.manual_seed`.

The kernels want Z as [B, R, d_z, L] in memory. Tensors are [B, R, L, d_z] at every function's door; what comes out is
a transposed view, which the next function takes as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from copra.model.pair_kernels import AttentionKernel, MlpKernel, UpdateKernel
from copra.model.pair_library import kernels_serve

ATTENDS, LEFT_OUT, SET_TO_ZERO = 0, 1, 2  # of a mask: before the softmax, after it
GPU_SAMPLES = 4  # that the twin takes at once on a GPU


def pair_attention(
    z: Tensor, q: Tensor, k: Tensor, v: Tensor, weight: Tensor, mask: Tensor, dropout: float, rows_on: int | None
) -> tuple[Tensor, Tensor]:
    """Equations (2) and (3): y_i = sum_j drop(softmax_j(q_i k_j / sqrt(d) + weight z_ij)) v_j, and the first rows of z.

    z [B, R, L, d_z]; q [B, R, H, d]; k, v [B, L, H, d]; weight [H, d_z]; mask uint8 [B, R, L] of ATTENDS, LEFT_OUT
    (before the softmax), SET_TO_ZERO (after it); `dropout` is a probability, 0 outside training. Returns y [B, R, H d]
    and z[:, :rows_on] (None: all) for whatever reads z next: its gradient is then added in the same pass.
    """
    q = q * q.shape[-1] ** -0.5
    if not kernels_serve(z, q, k, v, weight):
        y = in_parts(partial(attention_twin, weight=weight, dropout=dropout), z, q, k, v, mask)
        return y.flatten(2), z[:, :rows_on]
    rows = z.shape[1] if rows_on is None else rows_on
    y, z_on = AttentionKernel.apply(z, q, k, v, weight, mask, dropout, dropout_seed(dropout), rows)
    return y.flatten(2), z_on


def pair_update(
    z: Tensor,
    half: Tensor,
    u: Tensor,
    projection: Tensor | None,
    bias: Tensor,
    norm: tuple[Tensor, Tensor],
    residual: float,
    dropout: float,
) -> Tensor:
    """residual t + LN(t) with t_ij = z_ij + drop(projection z_ij + half_i u_j + bias), equations (4) and (5).

    z [B, R, L, d_z]; half [B, R, d_z, c]: the weight of the outer product contracted with u_i; u [B, L, c];
    projection [d_z, d_z] or None (no such term); bias, norm's weight and bias [d_z] -> [B, R, L, d_z].
    """
    if kernels_serve(z, half, u, bias):
        return UpdateKernel.apply(z, half, u, projection, bias, *norm, residual, dropout, dropout_seed(dropout))
    twin = partial(update_twin, projection=projection, bias=bias, norm=norm, residual=residual, dropout=dropout)
    return in_parts(twin, z, half, u)


def pair_mlp(x: Tensor, inner: tuple[Tensor, Tensor], out: tuple[Tensor, Tensor]) -> Tensor:
    """x + Linear(ReLU(Linear(x))), x [B, R, L, d_z]; `inner` weight [F, d_z] and bias [F], `out` [d_z, F] and [d_z]."""
    if kernels_serve(x, *inner, *out):
        return MlpKernel.apply(x, *inner, *out)
    return in_parts(partial(mlp_twin, inner=inner, out=out), x)


def dropout_seed(dropout: float) -> int:
    """A seed for one call's dropout from PyTorch's default generator, which is left alone without dropout."""
    return int(torch.randint(2**62, ()).item()) if dropout else 0


# --- twins in PyTorch ---------------------------------------------------------------------------------


def attention_twin(z: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, weight: Tensor, dropout: float) -> Tensor:
    """`pair_attention` with everything in memory, q already scaled, [B, R, H, d]."""
    scores = torch.einsum("brhd,blhd->bhrl", q, k) + F.linear(z, weight).permute(0, 3, 1, 2)
    mask = mask[:, None]
    p = scores.masked_fill(mask == LEFT_OUT, float("-inf")).softmax(-1).masked_fill(mask != ATTENDS, 0.0)
    return torch.einsum("bhrl,blhd->brhd", F.dropout(p, dropout), v)


def update_twin(
    z: Tensor,
    half: Tensor,
    u: Tensor,
    projection: Tensor | None,
    bias: Tensor,
    norm: tuple[Tensor, Tensor],
    residual: float,
    dropout: float,
) -> Tensor:
    """`pair_update` with everything in memory."""
    p = u[:, None] @ half.transpose(2, 3) + bias
    if projection is not None:
        p = p + F.linear(z, projection)
    t = z + F.dropout(p, dropout)
    return residual * t + F.layer_norm(t, t.shape[-1:], *norm)


def mlp_twin(x: Tensor, inner: tuple[Tensor, Tensor], out: tuple[Tensor, Tensor]) -> Tensor:
    """`pair_mlp` with everything in memory."""
    return x + F.linear(F.relu(F.linear(x, *inner)), *out)


def in_parts(function: Callable[..., Tensor], *batched: Tensor) -> Tensor:
    """function(*batched), a few samples at a time, nothing kept for the gradient: it is computed again.

    Random numbers are PyTorch's, and drawn again as they were.
    """
    at_once = 1 if batched[0].device.type == "cpu" else GPU_SAMPLES
    parts = zip(*(x.split(at_once) for x in batched), strict=True)
    return torch.cat([checkpoint(function, *part, use_reentrant=False) for part in parts])
