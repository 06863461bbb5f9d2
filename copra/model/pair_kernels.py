"""The compiled kernels as autograd functions; see pair_ops.py for what they compute, pair_*.cpp for how."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from copra.model.pair_library import address, kernels, threads


def rows_of(z: Tensor) -> Tensor:
    """[B, R, L, d_z] -> [B, R, d_z, L], contiguous: no copy of what a kernel made."""
    return z.transpose(2, 3).contiguous()


class AttentionKernel(torch.autograd.Function):
    """`copra_attention_*` of pair_attention.cpp; the second output is the first rows of z, passed on."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        weight: Tensor,
        mask: Tensor,
        dropout: float,
        seed: int,
        rows_on: int,
    ) -> tuple[Tensor, Tensor]:
        """As PyTorch asks."""
        ctx.set_materialize_grads(False)
        ctx.dropout, ctx.seed, ctx.rows_on = dropout, seed, rows_on
        tensors = [rows_of(z), *(x.contiguous() for x in (q, k, v, weight, mask))]
        ctx.save_for_backward(*tensors)
        y = torch.empty_like(tensors[1])
        kernels().copra_attention_forward(address(y), *map(address, tensors), *AttentionKernel.tail(ctx, tensors))
        return y, z[:, :rows_on]

    @staticmethod
    def tail(ctx: Any, tensors: list[Tensor] | tuple[Tensor, ...]) -> tuple[Any, ...]:
        """The arguments that end both calls: sizes, dropout, threads."""
        z, q = tensors[:2]
        sizes = (ctypes.c_int * 6)(len(z), z.shape[1], z.shape[3], z.shape[2], *q.shape[2:])
        return sizes, ctypes.c_uint64(ctx.seed), ctypes.c_float(ctx.dropout), threads()

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, grad_on: Tensor | None) -> tuple[Tensor | None, ...]:
        """As PyTorch asks."""
        tensors = ctx.saved_tensors
        z, q, k, v, weight, _ = tensors
        grad_y = torch.zeros_like(q) if grad_y is None else grad_y.contiguous()
        base = None if grad_on is None else rows_of(grad_on)
        grad_z = torch.empty_like(z)
        grads = [torch.empty_like(q), *(torch.zeros_like(x) for x in (k, v, weight))]
        kernels().copra_attention_backward(
            address(grad_z),
            *map(address, grads),
            address(base),
            ctypes.c_int(ctx.rows_on),
            address(grad_y),
            *map(address, tensors),
            *AttentionKernel.tail(ctx, tensors),
        )
        return grad_z.transpose(2, 3), *grads, None, None, None, None


class UpdateWeights(ctypes.Structure):
    """The struct of that name in pair_update.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("w", "bias", "gamma", "beta")),
        *((name, ctypes.c_float) for name in ("epsilon", "residual")),
    )


class UpdateKernel(torch.autograd.Function):
    """`copra_update_*` of pair_update.cpp."""

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        half: Tensor,
        u: Tensor,
        projection: Tensor | None,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        residual: float,
        dropout: float,
        seed: int,
    ) -> Tensor:
        """As PyTorch asks."""
        ctx.residual, ctx.dropout, ctx.seed = residual, dropout, seed
        weights = [None if x is None else x.contiguous() for x in (projection, bias, gamma, beta)]
        tensors = (rows_of(z), half.contiguous(), u.contiguous())
        ctx.save_for_backward(*tensors, *weights)
        out = torch.empty_like(tensors[0])
        kernels().copra_update_forward(address(out), *map(address, tensors), *UpdateKernel.tail(ctx, tensors, weights))
        return out.transpose(2, 3)

    @staticmethod
    def tail(ctx: Any, tensors: tuple[Tensor, ...], weights: Any) -> tuple[Any, ...]:
        """The arguments that end both calls: weights, sizes, dropout, threads."""
        z, half, _ = tensors
        packed = UpdateWeights(*(address(x) for x in weights), 1e-5, ctx.residual)
        sizes = (ctypes.c_int * 5)(len(z), z.shape[1], z.shape[3], z.shape[2], half.shape[3])
        return ctypes.byref(packed), sizes, ctypes.c_uint64(ctx.seed), ctypes.c_float(ctx.dropout), threads()

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """As PyTorch asks."""
        z, half, u, *weights = ctx.saved_tensors
        projection, bias = weights[:2]
        grad_out, grad_z = rows_of(grad_out), torch.empty_like(z)
        grad_projection = None if projection is None else torch.zeros_like(projection)
        grads = [
            torch.zeros_like(half),
            torch.zeros_like(u),
            grad_projection,
            *(torch.zeros_like(bias) for _ in range(3)),
        ]
        kernels().copra_update_backward(
            address(grad_z),
            *map(address, grads),
            address(grad_out),
            *map(address, (z, half, u)),
            *UpdateKernel.tail(ctx, (z, half, u), weights),
        )
        return grad_z.transpose(2, 3), *grads, None, None, None


class MlpKernel(torch.autograd.Function):
    """`copra_mlp_*` of pair_mlp.cpp."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
        """As PyTorch asks."""
        x = rows_of(x)
        weights = [w.contiguous() for w in (w1, b1, w2, b2)]
        ctx.save_for_backward(x, *weights)
        out = torch.empty_like(x)
        kernels().copra_mlp_forward(address(out), address(x), *MlpKernel.tail(x, weights))
        return out.transpose(2, 3)

    @staticmethod
    def tail(x: Tensor, weights: Any) -> tuple[Any, ...]:
        """The arguments that end both calls: weights, sizes, threads."""
        sizes = (len(x), x.shape[1], x.shape[3], x.shape[2], len(weights[0]))
        return (ctypes.c_void_p * 4)(*(w.data_ptr() for w in weights)), *map(ctypes.c_int, sizes), threads()

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        """As PyTorch asks."""
        x, *weights = ctx.saved_tensors
        grad_out, grad_x = rows_of(grad_out), torch.empty_like(x)
        grads = [torch.zeros_like(w) for w in weights]
        kernels().copra_mlp_backward(*map(address, (grad_x, *grads, grad_out, x)), *MlpKernel.tail(x, weights))
        return grad_x.transpose(2, 3), *grads


class EncoderNodes(ctypes.Structure):
    """The struct of that name in pair_encoder.cpp."""

    _fields_ = tuple(
        (name, ctypes.c_void_p) for name in ("type", "position", "chain", "xyz_nm", "atom", "turned", "placed")
    )


class EncoderWeights(ctypes.Structure):
    """EncoderWeights and EncoderGradients of pair_encoder.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("coefficient", "by_type", "by_offset")),
        ("w", ctypes.c_void_p * 5),
        ("b", ctypes.c_void_p * 4),
    )


class EncoderKernel(torch.autograd.Function):
    """`copra_encoder_*` of pair_encoder.cpp: seven tensors of nodes, twelve of weights in EncoderWeights' order."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        """As PyTorch asks."""
        tensors = tuple(x.contiguous() for x in tensors)
        ctx.save_for_backward(*tensors)
        b, length = tensors[0].shape
        z = torch.empty(b, length, tensors[8].shape[1], length)
        kernels().copra_encoder_forward(address(z), *EncoderKernel.tail(tensors))
        return z.transpose(2, 3)

    @staticmethod
    def packed(weights: Any) -> EncoderWeights:
        """Their addresses as C++ wants them."""
        at = [x.data_ptr() for x in weights]
        return EncoderWeights(*at[:3], (ctypes.c_void_p * 5)(*at[3:8]), (ctypes.c_void_p * 4)(*at[8:]))

    @staticmethod
    def tail(tensors: Any) -> tuple[Any, ...]:
        """The arguments that end both calls: nodes, weights, sizes, threads."""
        nodes, weights = EncoderNodes(*(x.data_ptr() for x in tensors[:7])), EncoderKernel.packed(tensors[7:])
        sizes = (*tensors[0].shape, tensors[8].shape[1])
        return ctypes.byref(nodes), ctypes.byref(weights), *map(ctypes.c_int, sizes), threads()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        """As PyTorch asks."""
        tensors = ctx.saved_tensors
        grad_z = rows_of(grad_z)
        grads = [torch.zeros_like(x) for x in tensors[7:]]
        kernels().copra_encoder_backward(
            ctypes.byref(EncoderKernel.packed(grads)), address(grad_z), *EncoderKernel.tail(tensors)
        )
        return *(None,) * 7, *grads
