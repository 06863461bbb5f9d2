"""The kernels at the published size against the transcription in float64, where no rounding can turn a ReLU.

A million pairs have some 10^8 ReLUs in all; a few of their inputs lie within float32's rounding of zero, and there two
correct programs may take different sides. So every unit's bias is moved until its threshold lies in a wide gap between
its inputs: it still is on for some pairs and off for others, but for none of them within 1e-5 of turning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from coformer_nodes import changed, made_nodes, padded, together
from torch import Tensor

from copra.model import pair_library
from copra.model.coformer import AffinityModel, CoformerShape
from copra.model.design import OFFICIAL, PAPER
from copra.model.pair_features import Nodes

NODES, LM_WIDTH = 259, 32
MARGIN = 1e-5  # that every ReLU's input keeps from zero
MOST = 1e-5  # relative, of a gradient
LEAST = 1e-2  # of all gradients together; a smaller one (zero in exact numbers, as a bias before a softmax) counts so

SHAPES = {
    "official": CoformerShape(6, 320, 40, 20, 8, 1280, 0.0, LM_WIDTH, LM_WIDTH, OFFICIAL),
    "paper, squeezed": CoformerShape(
        6, 320, 40, 20, 8, 1280, 0.0, LM_WIDTH, LM_WIDTH, replace(PAPER, outer_product="squeezed")
    ),
    # of the full outer product 32^2 channels fit into memory, 320^2 do not
    "paper": CoformerShape(3, 32, 40, 4, 8, 64, 0.0, LM_WIDTH, LM_WIDTH, PAPER),
}


def two_interfaces() -> tuple[Nodes, Tensor, Tensor]:
    """One of 256 residues, one of 226 with padding; some atoms are missing."""
    large, small = made_nodes(170, 86, 1), made_nodes(130, 96, 2)
    generator = torch.Generator().manual_seed(3)
    for nodes in (large, small):
        nodes.atom_mask[:, 3:] &= torch.rand(nodes.atom_mask[:, 3:].shape, generator=generator) > 0.02
    nodes = together(large, padded(small, NODES))
    embeddings = (torch.randn(2, NODES, LM_WIDTH, generator=generator) for _ in range(2))
    return nodes, *embeddings


def names_of_biases(shape: CoformerShape) -> Iterator[str]:
    """The biases before the transcription's ReLUs, in its order."""
    for layer in ("distance_embed.0", "distance_embed.2", "out_mlp.0", "out_mlp.2"):
        yield f"coformer.pair_encoder.{layer}.bias"
    if shape.design.feed_forward == "relu":
        for i in range(shape.blocks):
            yield f"coformer.blocks.{i}.pair_feed_forward.inner.bias"
            yield f"coformer.blocks.{i}.feed_forward.inner.bias"
    yield from ("head.layers.0.bias", "head.layers.2.bias")


def thresholds(inputs: Tensor) -> Tensor:
    """Of each unit the middle of the widest gap between all but the outer 2 % of its inputs, [n, units] -> [units].

    With few inputs every second unit's threshold lies above them all, the others' below.
    """
    n = len(inputs)
    if n < 50:
        above = torch.arange(inputs.shape[1]) % 2 == 1
        return torch.where(above, inputs.amax(0) + 0.1, inputs.amin(0) - 0.1)
    inner = inputs.T.contiguous().sort(dim=1).values[:, n // 50 : -(n // 50)]
    at = inner.diff(dim=1).argmax(dim=1, keepdim=True)
    return (inner.gather(1, at) + inner.gather(1, at + 1))[:, 0] / 2


class Settled:
    """In the place of `F.relu`: moves the bias of the layer before it, which it writes down, to keep clear of zero."""

    def __init__(self, leaves: dict[str, Tensor], names: Iterator[str]) -> None:
        self.leaves, self.names, self.moved = leaves, names, dict[str, Tensor]()
        self.margin = float("inf")

    def __call__(self, x: Tensor) -> Tensor:
        name = next(self.names)
        bias = self.leaves[name].detach()
        self.moved[name] = (bias - thresholds(x.detach().flatten(0, -2))).float()
        x = x + (self.moved[name].double() - bias)
        self.margin = min(self.margin, x.detach().abs().min().item())
        return torch.relu(x)


@pytest.mark.slow
@pytest.mark.skipif(pair_library.library() is None, reason="no C++ compiler here")
@pytest.mark.parametrize("name", SHAPES)
def test_every_gradient_at_the_published_size(oracle: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES[name]
    torch.manual_seed(0)
    model = AffinityModel(shape)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # away from 0 and 1, so that none can be ignored
            parameter.data += 0.1 * torch.randn_like(parameter)
    nodes, *embeddings = two_interfaces()
    labels = torch.tensor([1.0, -2.0])

    leaves = {key: value.detach().double().requires_grad_() for key, value in model.state_dict().items()}
    settled = Settled(leaves, names_of_biases(shape))
    with monkeypatch.context() as patch:
        patch.setattr(F, "relu", settled)
        exact = changed(nodes, xyz_angstrom=nodes.xyz_angstrom.double())
        expected = oracle.reference_affinity(leaves, shape, exact, *(x.double() for x in embeddings), 0.0)
    assert settled.margin > MARGIN
    (expected - labels).square().mean().backward()

    model.load_state_dict(settled.moved, strict=False)
    found = model(nodes, *embeddings)
    (found - labels).square().mean().backward()
    assert (found - expected).norm() < MOST * expected.norm()
    assert errors(model, leaves) == {}


def errors(model: AffinityModel, leaves: dict[str, Tensor]) -> dict[str, float]:
    """Relative differences of the gradients beyond `MOST`, by name."""
    expected = {key: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for key, leaf in leaves.items()}
    least = LEAST * torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    found = {}
    for key, parameter in model.named_parameters():
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        found[key] = ((own - expected[key]).norm() / torch.maximum(expected[key].norm(), least)).item()
    return {key: error for key, error in found.items() if error > MOST}
