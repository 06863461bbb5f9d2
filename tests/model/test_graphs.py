"""What every graph baseline must keep: motions, padding, special nodes, order, gradients, bits; and that it learns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from coformer_nodes import (
    PROTEIN_LM,
    RNA_LM,
    batch_of_two,
    changed,
    made_nodes,
    padded,
    seeded,
    together,
)
from graph_models import KINDS, a_rotation, graph_model, moved
from pydantic import ValidationError
from torch import Tensor, nn

from copra.model.pair_features import N_SPECIAL, Nodes

NEAR = {"atol": 1e-5, "rtol": 1e-5}
MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
every_model = pytest.mark.parametrize("name", KINDS)
geometric = pytest.mark.parametrize("name", ["egnn", "gvp"])


def shaken(name: str, lm_widths: tuple[int, int] = (0, 0)) -> nn.Module:
    """A model whose weights are all away from their initial values."""
    return seeded(graph_model(name, lm_widths))


@every_model
def test_no_motion_changes_the_output(name: str) -> None:
    model, (nodes, *_) = shaken(name), batch_of_two()
    there = model(moved(nodes, a_rotation(), 20.0), None, None)
    torch.testing.assert_close(there, model(nodes, None, None), **NEAR)


@pytest.mark.parametrize("name", ["gcn", "gat", "egnn"])
def test_a_mirror_image_is_the_same(name: str) -> None:
    model, (nodes, *_) = shaken(name), batch_of_two()
    torch.testing.assert_close(model(moved(nodes, MIRROR, 0.0), None, None), model(nodes, None, None), **NEAR)


def test_gvp_tells_hands_apart() -> None:
    """By the side chain's direction, which is that of an L amino acid: as published. Nothing else is handed."""
    model, nodes = shaken("gvp"), made_nodes(9, 7, 2)
    assert (model(moved(nodes, MIRROR, 0.0), None, None) - model(nodes, None, None)).abs().min() > 1e-4
    nodes.atom_mask[:, :, 0] = False  # without N there is no such direction
    torch.testing.assert_close(model(moved(nodes, MIRROR, 0.0), None, None), model(nodes, None, None), **NEAR)


def test_what_egnn_moves_and_what_gvp_points_at_turns_along() -> None:
    nodes, *_ = batch_of_two()
    turn, shift = a_rotation(), 20.0
    egnn, gvp = shaken("egnn"), shaken("gvp")
    h, point, graph = egnn.embed(nodes, None, None)
    turned_h, turned_point, _ = egnn.embed(moved(nodes, turn, shift), None, None)
    assert (point - graph.point_angstrom)[graph.present].abs().max() > 0.1  # it does move
    torch.testing.assert_close(turned_h, h, **NEAR)
    torch.testing.assert_close(turned_point[graph.present], (point @ turn.T + shift)[graph.present], atol=5e-5, rtol=0)
    _, mirrored_point, _ = egnn.embed(moved(nodes, MIRROR, 0.0), None, None)
    torch.testing.assert_close(mirrored_point, point @ MIRROR, **NEAR)
    s, v, _ = gvp.embed(nodes, None, None)
    turned_s, turned_v, _ = gvp.embed(moved(nodes, turn, shift), None, None)
    assert v.abs().max() > 0.1
    torch.testing.assert_close(turned_s, s, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(turned_v, torch.einsum("xy,y...->x...", turn, v), atol=2e-5, rtol=1e-5)


@every_model
def test_alone_is_as_in_a_batch(name: str) -> None:
    model = shaken(name, (PROTEIN_LM, RNA_LM))
    nodes, *lms = batch_of_two()
    alone = made_nodes(6, 4, 1)
    alone.atom_mask[:, 4, 1] = False
    first = model(alone, *(lm[:1, :13] for lm in lms))
    torch.testing.assert_close(model(nodes, *lms)[:1], first, **NEAR)
    few = made_nodes(2, 1, 3)  # fewer residues than neighbours, alone and beside a larger one
    both = together(padded(few, 19), made_nodes(9, 7, 2))
    torch.testing.assert_close(model(both, *lms)[:1], model(few, *(lm[:1, :6] for lm in lms)), **NEAR)


@every_model
def test_special_nodes_and_residues_without_atoms_are_ignored(name: str) -> None:
    model = shaken(name, (PROTEIN_LM, RNA_LM))
    nodes, *lms = batch_of_two()
    ignored = ~nodes.is_residue | ~nodes.atom_mask.any(-1)
    assert ignored[1].nonzero().flatten().tolist() == [0, 1, 2, 12]
    other = changed(
        nodes,
        xyz_angstrom=torch.where(ignored[..., None, None], nodes.xyz_angstrom + 50.0, nodes.xyz_angstrom),
        residue_type=torch.where(ignored & nodes.is_residue, nodes.residue_type - 1, nodes.residue_type),
    )
    other.residue_type[:, :N_SPECIAL] = other.residue_type[:, :N_SPECIAL].flip(1)
    other_lms = [torch.where(ignored[..., None], lm + 3.0, lm) for lm in lms]
    torch.testing.assert_close(model(other, *other_lms), model(nodes, *lms), atol=0, rtol=0)


@every_model
def test_language_models_count_on_their_own_molecule_only(name: str) -> None:
    model = shaken(name, (PROTEIN_LM, RNA_LM))
    nodes, *lms = batch_of_two()
    before = model(nodes, *lms)
    for number in (0, 1):
        for shifted, changes in ((nodes.molecule != number, False), (nodes.molecule == number, True)):
            other = list(lms)
            other[number] = lms[number] + 2.0 * torch.randn(lms[number].shape) * shifted[..., None]
            assert torch.equal(model(nodes, *other), before) is not changes


@every_model
def test_the_order_of_residues_does_not_count(name: str) -> None:
    model, nodes = shaken(name), made_nodes(9, 7, 2)
    order = torch.cat((torch.arange(N_SPECIAL), N_SPECIAL + torch.randperm(16)))
    shuffled = Nodes(**{field: value[:, order] for field, value in vars(nodes).items()})
    torch.testing.assert_close(model(shuffled, None, None), model(nodes, None, None), **NEAR)


@every_model
def test_gradient_reaches_every_parameter(name: str) -> None:
    model = graph_model(name, (PROTEIN_LM, RNA_LM), layers=3)
    model(*batch_of_two()).square().sum().backward()
    without = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@every_model
def test_one_residue_on_a_side_and_none_at_all(name: str) -> None:
    model = shaken(name)
    nodes = together(padded(made_nodes(1, 1, 1), 12), padded(made_nodes(8, 1, 2), 12), padded(made_nodes(1, 0, 3), 12))
    bare = made_nodes(5, 4, 4)
    bare.atom_mask[:] = False
    predicted = model(together(nodes, bare), None, None)
    assert predicted.shape == (4,)
    assert predicted.dtype == torch.float32
    assert predicted.isfinite().all()
    predicted.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    lone = made_nodes(1, 0, 3)
    lone = Nodes(**{field: value[:, N_SPECIAL:] for field, value in vars(lone).items()})  # no other row at all
    torch.testing.assert_close(model(lone, None, None), predicted[2:3], **NEAR)


@pytest.fixture
def deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


@every_model
@pytest.mark.usefixtures("deterministic")
def test_twice_the_same_bits(name: str) -> None:
    inputs = batch_of_two()

    def once() -> list[Tensor]:
        model = graph_model(name, (PROTEIN_LM, RNA_LM), dropout=0.3).train()
        predicted = model(*inputs)
        predicted.square().sum().backward()
        return [predicted, *(p.grad for p in model.parameters() if p.grad is not None)]

    first, second = once(), once()
    assert len(first) > 5
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    still = graph_model(name, (PROTEIN_LM, RNA_LM), dropout=0.3)
    assert not torch.equal(still(*inputs), first[0])  # dropout acts in training,
    assert torch.equal(still(*inputs), still(*inputs))  # and there only


@every_model
def test_half_precision_changes_little(name: str) -> None:
    model, (nodes, *_) = graph_model(name), batch_of_two()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(nodes, None, None)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, model(nodes, None, None), atol=0.05, rtol=0.05)


def test_gat_refuses_a_width_that_its_heads_cannot_share() -> None:
    with pytest.raises(ValidationError, match=r"width \(16\) must be a multiple of heads \(3\)"):
        graph_model("gat", heads=3)


# --- learning -----------------------------------------------------------------------------------------


def trained_error(name: str, nodes: Nodes, labels: Tensor, rate: float) -> float:
    """Error on the last third of the complexes after training on the others, in standard deviations."""
    n = len(labels) * 2 // 3
    labels = (labels - labels[:n].mean()) / labels[:n].std()
    model = graph_model(name).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    part = Nodes(**{field: value[:n] for field, value in vars(nodes).items()})
    rest = Nodes(**{field: value[n:] for field, value in vars(nodes).items()})
    for _ in range(60):
        optimizer.zero_grad()
        (model(part, None, None) - labels[:n]).square().mean().backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return ((model(rest, None, None) - labels[n:]).square().mean() / labels[n:].square().mean()).sqrt().item()


@every_model
def test_learns_what_the_residues_are(name: str) -> None:
    many = [made_nodes(9, 5, seed) for seed in range(36)]
    generator = torch.Generator().manual_seed(0)
    for one in many:
        special = torch.rand(9, generator=generator) < torch.rand(1, generator=generator)
        one.residue_type[0, N_SPECIAL : N_SPECIAL + 9] = torch.where(special, 1, 7)
    nodes = together(*many)
    labels = (nodes.residue_type == 1).float().mean(1)
    assert trained_error(name, nodes, labels, 0.01) < 0.5


@geometric
def test_learns_how_far_apart_the_sides_are(name: str) -> None:
    """All complexes are of the same residues."""
    one = made_nodes(9, 5, 1)
    shift = torch.linspace(0.0, 12.0, 36)[torch.randperm(36, generator=torch.Generator().manual_seed(1))]
    apart = torch.einsum("n,l,x->nlx", shift, (one.molecule[0] == 1).float(), torch.tensor([0.0, 0.0, 1.0]))
    nodes = changed(together(*[one] * 36), xyz_angstrom=one.xyz_angstrom + apart[:, :, None])
    assert trained_error(name, nodes, shift, 0.01) < 0.5
