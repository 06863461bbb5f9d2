"""Co-Former against the official code's numbers and against the plain transcription of the equations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from coformer_nodes import PROTEIN_LM, RNA_LM, batch_of_two, changed, seeded, small_shape
from torch import Tensor

from copra.errors import InputError
from copra.model.coformer import EVERYTHING, AffinityModel, Coformer, CoformerShape, View
from copra.model.design import OFFICIAL, PAPER, Design
from copra.model.official import official_state

FLIPS: dict[str, tuple[str | bool, str | bool]] = {
    "attention_mask": ("multiplied", "additive"),
    "rotary": (False, True),
    "feed_forward": ("relu", "swiglu"),
    "residual_from": ("input", "normed"),
    "feed_forward_residual_from": ("normed", "input"),
    "outer_product": ("full", "squeezed"),
    "pair_update": ("once", "twice"),
    "pair_feed_forward": (True, False),
    "final_layer_norm": (False, True),
    "special_node_geometry": (True, False),
}
DESIGNS = {
    "paper": PAPER,
    "official": OFFICIAL,
    **{f"paper-{name}": replace(PAPER, **{name: values[1]}) for name, values in FLIPS.items()},  # type: ignore[arg-type]
    **{f"official-{name}": replace(OFFICIAL, **{name: values[0]}) for name, values in FLIPS.items()},  # type: ignore[arg-type]
}
MOST = 1e-5  # relative


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm().clamp_min(1e-30)).item()


@pytest.mark.parametrize("name", DESIGNS)
def test_forward_and_gradients_equal_the_transcription(oracle: ModuleType, name: str) -> None:
    shape = small_shape(DESIGNS[name], protein_lm=PROTEIN_LM, rna_lm=RNA_LM)
    model = seeded(Coformer(shape))
    nodes, protein, rna = batch_of_two()
    hidden = torch.rand(2, 19, 19, generator=torch.Generator().manual_seed(5)) < 0.2
    for view in (EVERYTHING, View(hidden, within_molecules=True)):
        model.zero_grad()
        leaves = {name: value.detach().clone().requires_grad_() for name, value in model.state_dict().items()}
        found = model(nodes, protein, rna, view)
        expected = oracle.reference_coformer(leaves, shape, nodes, protein, rna, view, 0.0)
        some_loss(found, nodes.valid).backward()
        some_loss(expected, nodes.valid).backward()
        for f, e in zip(found, expected, strict=True):
            assert relative(f, e) < MOST
        assert_same_gradients(model, leaves)


@pytest.mark.parametrize("design", [PAPER, OFFICIAL], ids=["paper", "official"])
def test_affinity_and_its_gradients_equal_the_transcription(oracle: ModuleType, design: Design) -> None:
    shape = small_shape(design, blocks=3, protein_lm=PROTEIN_LM, rna_lm=RNA_LM)
    model = seeded(AffinityModel(shape))
    nodes, protein, rna = batch_of_two()
    leaves = {name: value.detach().clone().requires_grad_() for name, value in model.state_dict().items()}
    found = model(nodes, protein, rna)
    expected = oracle.reference_affinity(leaves, shape, nodes, protein, rna, 0.0)
    assert relative(found, expected) < MOST
    (found * torch.tensor([1.0, -2.0])).sum().backward()
    (expected * torch.tensor([1.0, -2.0])).sum().backward()
    assert_same_gradients(model, leaves)


@pytest.mark.parametrize("design", [PAPER, OFFICIAL], ids=["paper", "official"])
def test_in_double_precision_nothing_is_left_of_the_difference(oracle: ModuleType, design: Design) -> None:
    shape = small_shape(design, protein_lm=PROTEIN_LM, rna_lm=RNA_LM)
    model = seeded(Coformer(shape)).double()
    nodes, protein, rna = batch_of_two()
    nodes = changed(nodes, xyz_angstrom=nodes.xyz_angstrom.double())
    leaves = {name: value.detach().clone().requires_grad_() for name, value in model.state_dict().items()}
    some_loss(model(nodes, protein.double(), rna.double()), nodes.valid).backward()
    expected = oracle.reference_coformer(leaves, shape, nodes, protein.double(), rna.double(), EVERYTHING, 0.0)
    some_loss(expected, nodes.valid).backward()
    assert_same_gradients(model, leaves, most=1e-6)  # rotary's angles are float32


def some_loss(outputs: tuple[Tensor, Tensor], valid: Tensor) -> Tensor:
    """A number that depends on every entry of S and Z that is not padding."""
    s, z = outputs
    generator = torch.Generator().manual_seed(9)
    pairs = valid[:, :, None] & valid[:, None, :]
    s = s * torch.randn(s.shape, generator=generator) * valid[..., None]
    return s.sum() + (z * torch.randn(z.shape, generator=generator) * pairs[..., None]).sum()


def assert_same_gradients(model: torch.nn.Module, leaves: dict[str, Tensor], most: float = MOST) -> None:
    """Relative to the weight's gradient, or to a part of all where it cancels to nothing (a bias before a softmax)."""
    expected = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    floor = 1e-2 * torch.stack([gradient.norm() for gradient in expected.values()]).norm()
    for name, parameter in model.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        error = (found - expected[name]).norm() / torch.maximum(expected[name].norm(), floor)
        assert error < most, name


def official_weights(shared: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name in ("cformer_2blocks_weights", "pair_encoder_weights"):
        state |= {key: torch.from_numpy(value) for key, value in np.load(shared / "golden" / f"{name}.npz").items()}
    return state


def official_model(shared: Path) -> Coformer:
    model = Coformer(CoformerShape(2, 320, 40, 20, 8, 1280, 0.1, 0, 0, OFFICIAL)).eval()
    missing, unexpected = model.load_state_dict(official_state(official_weights(shared)), strict=False)
    assert set(missing) == {"mask_token", "type_embedding.weight", "input_norm.weight", "input_norm.bias"}
    assert not unexpected
    return model


def test_blocks_equal_the_official_numbers(shared: Path) -> None:
    model = official_model(shared)
    golden = {k: torch.from_numpy(v)[None] for k, v in np.load(shared / "golden/cformer_2blocks_io_1EC6.npz").items()}
    s = golden["x_in"]
    z = torch.from_numpy(np.load(shared / "golden" / "pair_encoder_out_1EC6.npz")["z"])[None]
    length = s.shape[1]
    allowed, valid = torch.ones(1, length, length, dtype=torch.bool), torch.ones(1, length, dtype=torch.bool)
    with torch.no_grad():
        for i, block in enumerate(model.blocks):
            s, z = block(s, z, allowed, valid)
            assert relative(s, golden[f"x_block{i}"]) < MOST
            assert relative(z, golden[f"z_block{i}"]) < MOST


def test_a_name_that_is_not_official_is_refused() -> None:
    with pytest.raises(InputError, match=r"blocks\.0\.mh_attn\.to_q\.weight"):
        official_state({"blocks.0.mh_attn.to_q.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"blocks\.1: without mh_attn\.mh_attn\.to_k, mh_attn\.mh_attn\.to_v"):
        official_state({"blocks.1.mh_attn.mh_attn.to_q.weight": torch.zeros(1)})
