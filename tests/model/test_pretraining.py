from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from coformer_nodes import batch_of_two, changed, made_nodes, padded, seeded, small_shape, together
from torch import Tensor

from copra.model.design import OFFICIAL, PAPER, Design
from copra.model.pretraining import (
    PretrainingModel,
    across_sides,
    contrast_loss,
    distance_loss,
    interface_pairs,
    only_molecule,
    residue_pairs,
)

DESIGNS = {"paper": PAPER, "official": OFFICIAL}


def model_of(design: Design, **widths: int) -> PretrainingModel:
    torch.manual_seed(0)
    model = seeded(PretrainingModel(small_shape(design, **widths)))
    assert isinstance(model, PretrainingModel)
    return model


def numpy_contrast(molecules: np.ndarray, temperature: float) -> float:
    """Equations (6) to (8) term by term."""
    k = len(molecules)
    unit = molecules / np.linalg.norm(molecules, axis=-1, keepdims=True)
    total = 0.0
    for i in range(k):
        for this, other in ((0, 1), (1, 0)):
            scores = np.array([unit[i, this] @ unit[j, other] / temperature for j in range(k)])
            total += -(1 / k) * (scores[i] - np.log(np.exp(scores).sum()))
    return total / 2


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_contrast_is_equations_6_to_8(k: int) -> None:
    molecules = torch.randn(k, 2, 5, generator=torch.Generator().manual_seed(k))
    by_hand = numpy_contrast(molecules.double().numpy(), 0.2)
    assert float(contrast_loss(molecules, None, 0.2, "batch")) == pytest.approx(by_hand, rel=1e-5, abs=1e-6)
    assert float(contrast_loss(molecules, None, 0.2, "batch_squared")) == pytest.approx(by_hand / k, rel=1e-5, abs=1e-6)


def test_the_mean_of_both_cross_entropies_is_what_equations_6_to_8_print() -> None:
    molecules = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(1))
    unit = torch.nn.functional.normalize(molecules, dim=-1)
    logits = unit[:, 0] @ unit[:, 1].T / 0.2
    own = torch.arange(6)
    entropy = torch.nn.functional.cross_entropy
    assert torch.allclose(
        contrast_loss(molecules, None, 0.2, "batch"), (entropy(logits, own) + entropy(logits.T, own)) / 2
    )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_contrasts_gradient(k: int) -> None:
    molecules = torch.randn(k, 2, 3, generator=torch.Generator().manual_seed(k), requires_grad=True)
    contrast_loss(molecules, None, 0.2, "batch").backward()
    assert molecules.grad is not None
    if k == 1:  # a complex alone has no negatives: nothing to learn
        assert torch.allclose(molecules.grad, torch.zeros_like(molecules), atol=1e-7)
        return
    step = 1e-4
    for place in np.ndindex(*molecules.shape):
        values = []
        for sign in (1, -1):
            moved = molecules.detach().double().numpy().copy()
            moved[place] += sign * step
            values.append(numpy_contrast(moved, 0.2))
        assert float(molecules.grad[place]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=2e-4)


def test_complexes_with_the_same_sequence_are_no_negatives() -> None:
    molecules = torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(0))
    apart = torch.tensor([[0, 0], [1, 1], [2, 2], [3, 3]])
    plain = contrast_loss(molecules, None, 0.2, "batch")
    assert torch.equal(contrast_loss(molecules, apart, 0.2, "batch"), plain)
    shared = torch.tensor([[0, 0], [0, 1], [2, 2], [3, 2]])  # 0 and 1 share a protein, 2 and 3 an RNA
    unit = torch.nn.functional.normalize(molecules.double(), dim=-1)
    logits = unit[:, 0] @ unit[:, 1].T / 0.2
    barred = torch.zeros(4, 4, dtype=torch.bool)
    barred[[0, 1, 2, 3], [1, 0, 3, 2]] = True
    logits = logits.masked_fill(barred, -torch.inf)
    by_hand = -(logits.log_softmax(1).diag().mean() + logits.log_softmax(0).diag().mean()) / 2
    assert float(contrast_loss(molecules, shared, 0.2, "batch")) == pytest.approx(float(by_hand), rel=1e-5)
    everything = torch.zeros(4, 2, dtype=torch.int64)  # all the same: nothing to tell apart
    assert float(contrast_loss(molecules, everything, 0.2, "batch")) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("mean", ["complex", "pairs"])
def test_the_distance_loss_is_equation_10(mean) -> None:
    nodes = together(padded(made_nodes(4, 2, 1), 14), made_nodes(6, 5, 2))
    pairs = interface_pairs(nodes)
    assert int(pairs.sum()) == 2 * (4 * 2 + 6 * 5)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(int(pairs.sum()), 40, generator=generator)
    labels = torch.randint(0, 40, (len(logits),), generator=generator)
    found = distance_loss(logits, labels, pairs, nodes.is_residue.sum(1), 0.2, mean)
    of_complex: list[list[float]] = [[], []]
    for row, (which, _, _) in enumerate(pairs.nonzero().tolist()):
        scores = logits[row].double().numpy() / 0.2
        of_complex[which].append(-(scores[labels[row]] - np.log(np.exp(scores).sum())))
    if mean == "complex":
        by_hand = (sum(of_complex[0]) / 6**2 + sum(of_complex[1]) / 11**2) / 2
    else:
        by_hand = np.mean(of_complex[0] + of_complex[1])
    assert float(found) == pytest.approx(by_hand, rel=1e-5)


def test_all_residue_pairs_leave_out_special_nodes_and_padding() -> None:
    nodes = together(padded(made_nodes(4, 2, 1), 14), made_nodes(6, 5, 2))
    pairs = residue_pairs(nodes)
    assert pairs.sum((1, 2)).tolist() == [6 * 6, 11 * 11]
    assert not pairs[:, :3].any()
    assert not (interface_pairs(nodes) & ~pairs).any()


def moved_rna(nodes, seed: int):
    """The RNA turned and shifted against the protein; the centres move with what they are centres of."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    if torch.det(turn) < 0:
        turn[:, 0] *= -1
    shift = torch.randn(3, generator=generator) * 10
    rna = nodes.molecule == 1
    rna[:, 2] = True
    xyz = torch.where(rna[..., None, None], nodes.xyz_angstrom @ turn + shift, nodes.xyz_angstrom)
    xyz[:, 0] = xyz[:, 3:].mean((1, 2))[:, None]
    return changed(nodes, xyz_angstrom=xyz)


@pytest.mark.parametrize("contrast_pass", ["together", "apart"])
@pytest.mark.parametrize("design", DESIGNS)
def test_how_the_molecules_lie_to_each_other_is_hidden_from_the_contrast(design: str, contrast_pass) -> None:
    model = model_of(DESIGNS[design])
    nodes = made_nodes(9, 6, 3)
    before, after = (model.molecules(n, None, None, contrast_pass) for n in (nodes, moved_rna(nodes, 5)))
    assert torch.allclose(before, after, atol=2e-5)
    inside = nodes.xyz_angstrom.clone()
    inside[:, 4] += 3.0  # one residue inside the protein is another matter
    assert not torch.allclose(before, model.molecules(changed(nodes, xyz_angstrom=inside), None, None, contrast_pass))


def test_without_the_hidden_pairs_the_paper_design_would_leak() -> None:
    model = model_of(replace(PAPER, contrast_hides_pairs=False))
    nodes = made_nodes(9, 6, 3)
    before, after = (model.molecules(n, None, None, "together") for n in (nodes, moved_rna(nodes, 5)))
    assert not torch.allclose(before, after, atol=1e-3)


def other_partner(nodes, n_protein: int):
    """Another RNA of the same length beside the same protein."""
    other = made_nodes(n_protein, 6, 11)
    types, xyz = nodes.residue_type.clone(), nodes.xyz_angstrom.clone()
    types[:, 3 + n_protein :] = other.residue_type[:, 3 + n_protein :]
    xyz[:, 3 + n_protein :] = other.xyz_angstrom[:, 3 + n_protein :]
    xyz[:, [0, 2]] += 4.0
    return changed(nodes, residue_type=types, xyz_angstrom=xyz)


@pytest.mark.parametrize(
    ("design", "contrast_pass", "is_blind"),
    [
        ("paper", "apart", True),
        ("official", "apart", True),
        ("official", "together", True),
        ("paper", "together", False),
    ],
)
def test_what_the_protein_node_knows_of_another_rna(design: str, contrast_pass, is_blind: bool) -> None:
    """M multiplied after the softmax, as printed, lets the partner's scores into the sum."""
    model = model_of(DESIGNS[design])
    nodes = made_nodes(9, 6, 3)
    mine, other = (model.molecules(n, None, None, contrast_pass)[:, 0] for n in (nodes, other_partner(nodes, 9)))
    assert torch.allclose(mine, other, atol=2e-5) == is_blind


@pytest.mark.parametrize(("contrast_pass", "is_blind"), [("together", False), ("apart", True)])
def test_positions_tell_the_rna_node_how_large_its_protein_is(contrast_pass, is_blind: bool) -> None:
    model = model_of(OFFICIAL)
    nodes = made_nodes(9, 6, 3)
    keep = [0, 1, 2, *range(5, 18)]  # two protein residues fewer
    smaller = type(nodes)(**{name: value[:, keep] for name, value in vars(nodes).items()})
    mine, other = (model.molecules(n, None, None, contrast_pass)[:, 1] for n in (nodes, smaller))
    assert torch.allclose(mine, other, atol=2e-5) == is_blind


def test_a_molecule_alone_keeps_its_own_rows_in_order() -> None:
    nodes, protein_lm, rna_lm = batch_of_two()
    for molecule, sizes in ((0, [6, 9]), (1, [4, 7])):
        alone, protein, rna = only_molecule(nodes, protein_lm, rna_lm, molecule)
        assert alone.residue_type.shape == (2, 3 + max(sizes))
        for b, n in enumerate(sizes):
            own = nodes.molecule[b] == molecule
            for name in ("residue_type", "molecule", "chain", "polymer_index", "xyz_angstrom", "atom_mask"):
                assert torch.equal(getattr(alone, name)[b, 3 : 3 + n], getattr(nodes, name)[b][own]), name
            assert protein is not None
            assert rna is not None
            assert torch.equal(protein[b, 3 : 3 + n], protein_lm[b][own])
            assert alone.valid[b].sum() == 3 + n
        assert alone.atom_mask[:, :3].any(-1).tolist() == [[False, molecule == 0, molecule == 1]] * 2


@pytest.mark.parametrize("design", DESIGNS)
def test_padding_changes_nothing(design: str) -> None:
    model = model_of(DESIGNS[design])
    small, large = made_nodes(6, 4, 1), made_nodes(9, 7, 2)
    both = together(padded(small, 19), large)
    for contrast_pass in ("together", "apart"):
        alone = torch.cat([model.molecules(n, None, None, contrast_pass) for n in (small, large)])
        assert torch.allclose(model.molecules(both, None, None, contrast_pass), alone, atol=2e-5)
    logits = [model.distance_logits(n, None, None, None, interface_pairs(n)) for n in (small, large, both)]
    assert torch.allclose(torch.cat(logits[:2]), logits[2], atol=5e-5)


def test_the_mask_hides_what_it_covers() -> None:
    model = model_of(OFFICIAL)
    nodes = made_nodes(6, 4, 1)
    hidden = across_sides(nodes) | torch.eye(13, dtype=torch.bool)
    pairs = interface_pairs(nodes)

    def told(n) -> Tensor:
        return model.distance_logits(n, None, None, hidden, pairs)

    assert torch.allclose(told(nodes), told(moved_rna(nodes, 1)), atol=5e-5)
    seen = (model.distance_logits(n, None, None, None, pairs) for n in (nodes, moved_rna(nodes, 1)))
    assert not torch.allclose(*seen, atol=1e-2)
