"""Layers that Co-Former and the RNA language model share."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROTARY_BASE = 10000.0


class SwiGLU(nn.Module):
    """Gated unit with a learned slope: h * sigmoid(beta * h) * gate."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))
        self.linear = nn.Linear(width, inner)
        self.linear_gate = nn.Linear(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., inner]."""
        h = self.linear(x)
        return h * torch.sigmoid(self.beta * h) * self.linear_gate(x)


def rotary_tables(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, d] of rotary positions 0..T-1 (Su et al. 2021), each frequency twice (rotate-half)."""
    frequency = ROTARY_BASE ** (-torch.arange(0, head_width, 2, device=device, dtype=torch.float32) / head_width)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency  # [T, d/2]
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate queries or keys [..., T, d] by their positions."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them, or with a gated unit of 2/3 of the width in the first one's place."""

    def __init__(self, width: int, expansion: int, kind: Literal["relu", "swiglu"]) -> None:
        super().__init__()
        inner = expansion * width if kind == "relu" else 2 * expansion * width // 3
        self.inner = nn.Linear(width, inner) if kind == "relu" else SwiGLU(width, inner)
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        h = self.inner(x)
        return self.out(F.relu(h) if isinstance(self.inner, nn.Linear) else h)
