"""What Co-Former's output depends on, and on what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from coformer_nodes import (
    PROTEIN_LM,
    RNA_LM,
    batch_of_two,
    changed,
    made_embeddings,
    made_nodes,
    padded,
    seeded,
    small_shape,
    together,
)
from torch import Tensor

from copra.model.coformer import EVERYTHING, AffinityModel, Coformer, View
from copra.model.design import OFFICIAL, PAPER, Design
from copra.model.layers import rotary_tables, rotate
from copra.model.pair_features import Nodes

both_presets = pytest.mark.parametrize("design", [PAPER, OFFICIAL], ids=["paper", "official"])
N_PROTEIN, N_RNA = 6, 4


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def made_coformer(design: Design, blocks: int = 2) -> Coformer:
    return seeded(Coformer(small_shape(design, blocks, PROTEIN_LM, RNA_LM)))


def complex_of_two(seed: int = 1) -> tuple[Nodes, Tensor, Tensor]:
    nodes = made_nodes(N_PROTEIN, N_RNA, seed)
    return nodes, *made_embeddings(1, nodes.residue_type.shape[1])


@both_presets
def test_a_padded_complex_gives_what_it_gives_alone(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = batch_of_two()
    small = Nodes(**{name: value[:1, :13] for name, value in vars(nodes).items()})
    gradients = []
    s_batch, z_batch = model(nodes, protein, rna)
    s, z = model(small, protein[:1, :13], rna[:1, :13])
    assert (s_batch[0, :13] - s[0]).abs().max() < 1e-5 * s.abs().max()
    assert (z_batch[0, :13, :13] - z[0]).abs().max() < 1e-5 * z.abs().max()
    for found in ((s_batch[:1, :13], z_batch[:1, :13, :13]), (s, z)):
        model.zero_grad()
        (found[0].square().sum() + found[1].sin().sum()).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    largest = max(gradient.abs().max() for gradient in gradients[1].values())
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[1].items():
        assert (gradients[0][name] - gradient).abs().max() < 1e-5 * largest, name


@both_presets
def test_embeddings_at_padding_and_at_the_other_molecule_have_no_influence(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = batch_of_two()
    other = torch.where((nodes.molecule == 0)[..., None], protein, 7.0)
    with torch.no_grad():
        assert torch.equal(model(nodes, protein, rna)[0], model(nodes, other, rna)[0])


@both_presets
def test_the_order_of_the_complexes_changes_nothing(design: Design) -> None:
    model = seeded(AffinityModel(small_shape(design, 2, PROTEIN_LM, RNA_LM)))
    nodes, protein, rna = batch_of_two()
    turned = Nodes(**{name: value.flip(0) for name, value in vars(nodes).items()})
    with torch.no_grad():
        found = model(turned, protein.flip(0), rna.flip(0)).flip(0)
        assert (found - model(nodes, protein, rna)).abs().max() < 1e-5


@both_presets
def test_nothing_changes_when_the_complex_is_moved_and_turned(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = complex_of_two()
    turn, _ = torch.linalg.qr(torch.randn(3, 3))
    turn = turn * turn.det().sign()
    moved = changed(nodes, xyz_angstrom=nodes.xyz_angstrom @ turn + 3.0)
    with torch.no_grad():
        s, z = model(nodes, protein, rna)
        s_moved, z_moved = model(moved, protein, rna)
    assert (s - s_moved).abs().max() < 1e-3
    assert (z - z_moved).abs().max() < 1e-3


@both_presets
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_complex_node_alone_is_that_of_the_whole(design: Design, blocks: int) -> None:
    model = made_coformer(design, blocks)
    nodes, protein, rna = batch_of_two()
    view = View(torch.rand(2, 19, 19) < 0.3, within_molecules=True)
    for seen in (EVERYTHING, view):
        whole = model(nodes, protein, rna, seen)[0][:, 0]
        alone = model.complex_node(nodes, protein, rna, seen)
        assert (whole - alone).abs().max() < 1e-5 * whole.abs().max()
        expected = torch.autograd.grad(whole.square().sum(), list(model.parameters()), allow_unused=True)
        found = torch.autograd.grad(alone.square().sum(), list(model.parameters()), allow_unused=True)
        largest = max(gradient.abs().max() for gradient in expected if gradient is not None)
        for f, e in zip(found, expected, strict=True):
            f, e = (torch.zeros(1) if x is None else x for x in (f, e))
            assert (f - e).abs().max() < 1e-5 * largest


@both_presets
def test_centres_have_an_effect_in_the_paper_and_none_in_the_code(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = complex_of_two()
    for moved in (0, 1, 2, 5):  # the special nodes, a residue
        xyz = nodes.xyz_angstrom.clone()
        xyz[:, moved] += 5.0
        with torch.no_grad():
            s = model(nodes, protein, rna)[0]
            s_other = model(changed(nodes, xyz_angstrom=xyz), protein, rna)[0]
        if design == OFFICIAL and moved < 3:
            assert torch.equal(s, s_other)
        else:
            assert (s - s_other).abs().max() > 1e-4


@both_presets
def test_an_absent_atom_has_no_influence(design: Design) -> None:
    model = made_coformer(design)
    nodes, protein, rna = complex_of_two()
    nodes.atom_mask[:, 4, 3] = False
    nodes.atom_mask[:, 10] = False
    xyz = nodes.xyz_angstrom.clone()
    xyz[:, 4, 3], xyz[:, 10] = 99.0, -50.0
    with torch.no_grad():
        s, z = model(nodes, protein, rna)
        s_other, z_other = model(changed(nodes, xyz_angstrom=xyz), protein, rna)
    assert torch.equal(s, s_other)
    assert torch.equal(z, z_other)


@both_presets
def test_molecules_of_one_residue_and_without_atoms(design: Design) -> None:
    model = made_coformer(design)
    nodes = together(padded(made_nodes(1, 1, 3), 5), made_nodes(1, 1, 4))
    nodes.atom_mask[1, 3:] = False
    s, z = model(nodes, *made_embeddings(2, 5), View(None, within_molecules=True))
    assert torch.isfinite(s).all()
    assert torch.isfinite(z).all()
    (s.square().sum() + z.square().sum()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@both_presets
def test_every_weight_gets_a_finite_gradient(design: Design) -> None:
    model = made_coformer(replace(design)).train()
    nodes, protein, rna = batch_of_two()
    s, z = model(nodes, protein, rna, View(torch.rand(2, 19, 19) < 0.2, within_molecules=False))
    (s.sin().sum() + z.sin().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@both_presets
def test_dropout_follows_the_generator_and_is_off_in_evaluation(design: Design) -> None:
    model = seeded(AffinityModel(replace(small_shape(design, 2, PROTEIN_LM, RNA_LM), dropout=0.3)))
    inputs = batch_of_two()

    def outputs(seed: int) -> Tensor:
        torch.manual_seed(seed)
        with torch.no_grad():
            return model(*inputs)

    assert torch.equal(outputs(1), outputs(2))
    model.train()
    assert torch.equal(outputs(1), outputs(1))
    assert not torch.equal(outputs(1), outputs(2))


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in AffinityModel(small_shape(PAPER)).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_rotary_scores_depend_on_the_distance_only() -> None:
    q, k = torch.randn(8), torch.randn(8)
    cosine, sine = rotary_tables(12, 8, q.device)
    turned_q, turned_k = rotate(q.expand(12, 8), cosine, sine), rotate(k.expand(12, 8), cosine, sine)
    assert turned_q[2] @ turned_k[5] == pytest.approx((turned_q[7] @ turned_k[10]).item(), abs=1e-5)
    assert abs(turned_q[2] @ turned_k[5] - turned_q[2] @ turned_k[6]) > 1e-4


def test_a_model_for_embeddings_wants_them() -> None:
    with pytest.raises(ValueError, match="none were given"):
        Coformer(small_shape(PAPER, protein_lm=5))(made_nodes(3, 2, 0), None, None)


@both_presets
def test_half_precision_gives_about_the_same(design: Design) -> None:
    model = seeded(AffinityModel(small_shape(design, 2, PROTEIN_LM, RNA_LM)))
    inputs = batch_of_two()
    expected = model(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(*inputs)
    found.sum().backward()
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@both_presets
def test_it_can_learn_a_few_complexes_by_heart(design: Design) -> None:
    model = AffinityModel(replace(small_shape(design), blocks=3)).train()
    nodes = together(*(made_nodes(8, 5, seed) for seed in range(6)))
    labels = torch.tensor([-1.4, -0.8, -0.2, 0.3, 0.8, 1.3])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = (model(nodes, None, None) - labels).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02 * labels.var(unbiased=False).item()
