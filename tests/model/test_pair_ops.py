from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from copra.model import pair_features, pair_library, pair_ops
from copra.model.pair_features import PADDING_TYPE, Nodes, PairEncoder
from copra.model.pair_ops import ATTENDS, LEFT_OUT, SET_TO_ZERO, pair_attention, pair_mlp, pair_update

MOST = 1e-5  # relative to the largest value

# B, R, L, d_z, H, d, c: rows that are not whole groups of four, lengths that are not whole vectors, one row alone
SIZES = [
    (1, 1, 1, 1, 1, 2, 1),
    (2, 5, 5, 3, 2, 4, 2),
    (1, 1, 17, 8, 4, 16, 8),
    (3, 7, 33, 40, 20, 16, 8),
    (2, 18, 18, 6, 3, 20, 12),
    (40, 3, 3, 5, 1, 2, 2),
]

needs_kernels = pytest.mark.skipif(pair_library.library() is None, reason="no C++ compiler here")


@pytest.fixture
def in_pytorch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to have the twins work from here on."""

    def switch() -> None:
        for module in (pair_ops, pair_features):
            monkeypatch.setattr(module, "kernels_serve", lambda *tensors: False)

    return switch


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def drawn_mask(b: int, rows: int, length: int) -> Tensor:
    mask = torch.randint(0, 3, (b, rows, length), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    mask[:, :, 0] = ATTENDS
    return mask


def attention_inputs(size: tuple[int, ...]) -> list[Tensor]:
    b, rows, length, width, heads, d, _ = size
    shapes = ((b, rows, length, width), (b, rows, heads, d), (b, length, heads, d), (b, length, heads, d))
    return [*(drawn(*shape, seed=i) for i, shape in enumerate(shapes)), drawn(heads, width, seed=9, scale=0.3)]


def update_inputs(size: tuple[int, ...]) -> list[Tensor]:
    b, rows, length, width, _, _, c = size
    weights = ((width, width), (width,), (width,), (width,))
    shapes = ((b, rows, length, width), (b, rows, width, c), (b, length, c), *weights)
    return [drawn(*shape, seed=i, scale=0.5) for i, shape in enumerate(shapes)]


def with_gradients(function: Callable[..., tuple[Tensor, ...]], inputs: list[Tensor]) -> list[Tensor]:
    """Outputs, then gradients of a weighted sum of them."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    outputs = function(*leaves)
    total = sum((out * drawn(*out.shape, seed=70 + i)).sum() for i, out in enumerate(outputs))
    total.backward()
    return [*(out.detach() for out in outputs), *(x.grad for x in leaves if x.grad is not None)]


def furthest(found: list[Tensor], expected: list[Tensor]) -> float:
    assert len(found) == len(expected)
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a.numel()]
    return max(((a - b).abs().max() / b.abs().max().clamp(min=1e-2)).item() for a, b in pairs)


def attention(size: tuple[int, ...], rows_on: int | None) -> Callable[..., tuple[Tensor, ...]]:
    mask = drawn_mask(*size[:3])
    return lambda z, q, k, v, w: pair_attention(z, q, k, v, w, mask, 0.0, rows_on)


def update(twice: bool) -> Callable[..., tuple[Tensor, ...]]:
    def run(z: Tensor, half: Tensor, u: Tensor, p: Tensor, bias: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor]:
        return (pair_update(z, half, u, p if twice else None, bias, (gamma, beta), float(twice), 0.0),)

    return run


# --- equal to the twins, and the twins to the equations --------------------------------------------------


@needs_kernels
@pytest.mark.parametrize("rows_on", [None, 1, 0])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_attention_kernel_equals_twin(
    size: tuple[int, ...], rows_on: int | None, in_pytorch: Callable[[], None]
) -> None:
    found = with_gradients(attention(size, rows_on), attention_inputs(size))
    in_pytorch()
    assert furthest(found, with_gradients(attention(size, rows_on), attention_inputs(size))) < MOST


@needs_kernels
@pytest.mark.parametrize("twice", [True, False])
@pytest.mark.parametrize("size", SIZES[1:], ids=str)  # a layer norm of one channel is constant
def test_update_kernel_equals_twin(size: tuple[int, ...], twice: bool, in_pytorch: Callable[[], None]) -> None:
    found = with_gradients(update(twice), update_inputs(size))
    in_pytorch()
    assert furthest(found, with_gradients(update(twice), update_inputs(size))) < MOST


@needs_kernels
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_mlp_kernel_equals_twin(size: tuple[int, ...], in_pytorch: Callable[[], None]) -> None:
    b, rows, length, width = size[:4]
    shapes = ((b, rows, length, width), (2 * width, width), (2 * width,), (width, 2 * width), (width,))
    inputs = [drawn(*shape, seed=i) for i, shape in enumerate(shapes)]

    def run(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor]:
        return (pair_mlp(x, (w1, b1), (w2, b2)),)

    found = with_gradients(run, inputs)
    in_pytorch()
    assert furthest(found, with_gradients(run, inputs)) < MOST


def drawn_nodes(b: int, length: int) -> Nodes:
    """Residues of two molecules after three special nodes, padding at the end of the first sample, atoms missing."""
    generator = torch.Generator().manual_seed(4)
    residues = length - 3
    types = torch.randint(0, 26, (b, residues), generator=generator)
    special = torch.tensor([26, 27, 28]).expand(b, 3)
    molecule = torch.cat((torch.full((b, 3), -1), (types >= 21).long()), dim=1)
    types = torch.cat((special, types), dim=1)
    types[0, -2:], molecule[0, -2:] = PADDING_TYPE, -1
    return Nodes(
        residue_type=types,
        molecule=molecule,
        chain=molecule,
        polymer_index=torch.arange(length).expand(b, length) * 3,
        xyz_angstrom=torch.randn((b, length, 4, 3), generator=generator) * 6,
        atom_mask=torch.rand((b, length, 4), generator=generator) > 0.1,
    )


@needs_kernels
@pytest.mark.parametrize("geometry", [True, False])
@pytest.mark.parametrize(("b", "length", "width"), [(1, 5, 3), (2, 21, 8), (3, 40, 40)])
def test_encoder_kernel_equals_twin(
    b: int, length: int, width: int, geometry: bool, in_pytorch: Callable[[], None]
) -> None:
    torch.manual_seed(2)
    encoder, nodes = PairEncoder(width, geometry), drawn_nodes(b, length)
    torch.nn.init.normal_(encoder.aapair_to_distcoef.weight)

    def run(*weights: Tensor) -> tuple[Tensor]:
        names = dict(encoder.named_parameters())
        return (torch.func.functional_call(encoder, dict(zip(names, weights, strict=True)), (nodes,)),)

    weights = [p.detach() for p in encoder.parameters()]
    found = with_gradients(run, weights)
    in_pytorch()
    assert furthest(found, with_gradients(run, weights)) < MOST


def test_attention_twin_is_softmax_over_what_the_mask_lets_in() -> None:
    size = (1, 2, 4, 3, 2, 4, 1)
    z, q, k, v, w = attention_inputs(size)
    mask = torch.tensor([[[ATTENDS, LEFT_OUT, ATTENDS, SET_TO_ZERO], [ATTENDS] * 4]], dtype=torch.uint8)
    y, _ = pair_attention(z, q, k, v, w, mask, 0.0, None)
    for h in range(2):
        score = q[0, 0, h] @ k[0, :, h].T / 2 + z[0, 0] @ w[h]
        p = score[[0, 2, 3]].softmax(0)
        expected = p[0] * v[0, 0, h] + p[1] * v[0, 2, h]
        assert (y[0, 0, 4 * h : 4 * h + 4] - expected).abs().max() < 1e-6


@pytest.mark.parametrize("twice", [True, False])
def test_gradients_of_the_twins(twice: bool) -> None:
    size = (2, 3, 3, 4, 2, 2, 2)
    inputs = [x.double().requires_grad_() for x in update_inputs(size)]
    assert torch.autograd.gradcheck(update(twice), inputs)
    assert torch.autograd.gradcheck(attention(size, 2), [x.double().requires_grad_() for x in attention_inputs(size)])


# --- dropout --------------------------------------------------------------------------------------------


def dropped_update(z: Tensor, probability: float, seed: int) -> Tensor:
    """t = drop(1), read from beta = 0, gamma = 0, residual = 1, z = 0."""
    b, length, _, width = z.shape
    torch.manual_seed(seed)
    zero, one = torch.zeros(width), torch.ones(width)
    half, u = torch.zeros(b, length, width, 1), torch.zeros(b, length, 1)
    return pair_update(z * 0, half, u, None, one, (zero, zero), 1.0, probability)


def test_dropout_keeps_the_mean_and_follows_the_seed() -> None:
    z = torch.zeros(2, 60, 60, 10)
    kept = dropped_update(z, 0.1, seed=1)
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / 0.9])
    fraction = (kept == 0).float()
    assert fraction.mean().item() == pytest.approx(0.1, abs=5 * (0.09 / fraction.numel()) ** 0.5)
    for axis in range(4):  # no row, column, channel or sample is special
        others = [a for a in range(4) if a != axis]
        count = fraction.numel() / fraction.shape[axis]
        assert (fraction.mean(others) - 0.1).abs().max().item() < 5 * (0.09 / count) ** 0.5
    assert torch.equal(kept, dropped_update(z, 0.1, seed=1))
    again = (dropped_update(z, 0.1, seed=2) == 0).float()
    assert (fraction * again).mean().item() == pytest.approx(0.01, abs=5 * (0.0099 / fraction.numel()) ** 0.5)


def test_dropout_of_neighbours_is_independent() -> None:
    zero = (dropped_update(torch.zeros(2, 60, 60, 10), 0.3, seed=3) == 0).double() - 0.3
    for axis, shift in ((0, 1), (1, 1), (2, 1), (2, 16), (3, 1)):
        length = zero.shape[axis] - shift
        product = zero.narrow(axis, 0, length) * zero.narrow(axis, shift, length)
        assert abs(product.mean().item()) < 5 * 0.21 / product.numel() ** 0.5, (axis, shift)


@needs_kernels
def test_gradient_uses_the_dropout_of_the_forward_pass() -> None:
    size = (2, 6, 19, 8, 4, 8, 3)
    inputs = attention_inputs(size)
    direction = [drawn(*x.shape, seed=40 + i) for i, x in enumerate(inputs)]
    mask = drawn_mask(*size[:3])

    def value(step: float) -> Tensor:
        torch.manual_seed(8)
        moved = [x + step * d for x, d in zip(inputs, direction, strict=True)]
        y, z_on = pair_attention(*moved, mask, 0.3, None)
        out = pair_update(z_on, *(drawn(*s, seed=60) for s in ((2, 6, 8, 3), (2, 19, 3))), None, *norm_inputs, 0.5, 0.3)
        return y.double().sum() + (out.double() * drawn(*out.shape, seed=61)).sum()

    norm_inputs = (drawn(8, seed=62), (drawn(8, seed=63), drawn(8, seed=64)))
    leaves, inputs = inputs, [x.requires_grad_() for x in inputs]
    value(0.0).backward()
    slope = sum((x.grad * d).sum() for x, d in zip(leaves, direction, strict=True) if x.grad is not None)
    with torch.no_grad():
        numeric = (value(2e-3) - value(-2e-3)) / 4e-3
    assert slope.item() == pytest.approx(numeric.item(), rel=2e-2)


# --- machines -------------------------------------------------------------------------------------------


@needs_kernels
def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    size = (3, 30, 30, 8, 4, 8, 3)
    results = []
    for n in (1, 3):
        torch.set_num_threads(n)
        results.append(
            with_gradients(attention(size, None), attention_inputs(size))
            + with_gradients(update(True), update_inputs(size))
        )
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_machine_without_compiler_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pair_library.shutil, "which", lambda name: None)
    find = pair_library.library.__wrapped__
    with caplog.at_level(logging.INFO):
        assert find() is None
    assert [record.message for record in caplog.records if "no C++ compiler" in record.message]


def test_a_compiler_that_fails_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no such processor >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pair_library.shutil, "which", lambda name: str(broken))
    with caplog.at_level(logging.INFO):
        assert pair_library.library.__wrapped__() is None
    assert "no such processor" in caplog.text
    assert list((tmp_path / "cache" / "copra").iterdir()) == []


def test_other_types_go_to_the_twin() -> None:
    size = SIZES[1]
    inputs = [x.to(torch.bfloat16) for x in attention_inputs(size)]
    y, _ = pair_attention(*inputs, drawn_mask(*size[:3]), 0.0, None)
    assert y.dtype == torch.bfloat16
