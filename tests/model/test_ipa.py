"""Invariant point attention: against a slow transcription, and what its output does not depend on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from coformer_nodes import PROTEIN_LM, RNA_LM, batch_of_two, changed, made_nodes, padded, seeded, together
from torch import Tensor

from copra.config_experiments import Ipa
from copra.model.graphs.ipa import SMALLEST_NM, Frames, IpaModel, PointAttention, backbone_frames, build_affinity_model
from copra.model.pair_features import ANGSTROM_PER_NM, Nodes
from copra.train.models import build_model


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def settings(**other) -> Ipa:
    loop = {
        "learning_rate": 1e-3, "weight_decay": 0.0, "batch_size": 2, "accumulate_batches": 1, "epochs": 1,
        "patience_epochs": 1, "gradient_clip": None, "plateau_factor": None, "plateau_patience_epochs": 0,
        "min_learning_rate": 0.0, "precision": "fp32", "checkpoint_minutes": 1.0, "loader_threads": 0,
        "protocol": "nested", "inner_folds": 2, "shuffle_labels": False,
    }  # fmt: skip
    own = {
        "model": "ipa", "nodes": "interface", "protein_lm": None, "rna_lm": None, "interface_nodes": 32,
        "dropout": 0.2, "layers": 2, "width": 16, "pair_width": 6, "heads": 3, "head_width": 5, "query_points": 4,
        "value_points": 2,
    }  # fmt: skip
    return Ipa(**(loop | own | other))


def made_model(protein_lm: int = 0, rna_lm: int = 0) -> IpaModel:
    return seeded(build_affinity_model(settings(), protein_lm, rna_lm))


def some_turn() -> Tensor:
    turn, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    return turn * turn.det().sign()


def in_double(nodes: Nodes) -> Nodes:
    return changed(nodes, xyz_angstrom=nodes.xyz_angstrom.double())


def random_frames(b: int, length: int) -> Frames:
    rotation = torch.linalg.qr(torch.randn(b, length, 3, 3, dtype=torch.float64))[0]
    rotation = rotation * rotation.det().sign()[..., None, None]
    exists = torch.rand(b, length) > 0.3
    exists[:, 0], exists[:, 1] = True, False
    origin = torch.randn(b, length, 3, dtype=torch.float64) * exists[..., None]
    return Frames(torch.where(exists[..., None, None], rotation, torch.eye(3).double()), origin, exists)


def written_out(unit: PointAttention, s: Tensor, z: Tensor, frames: Frames, present: Tensor) -> Tensor:
    """Algorithm 22 head by head and residue by residue."""
    length, c, n_q, n_v = len(s), unit.head_width, unit.query_points, unit.value_points
    scalars = unit.to_scalars(s).view(length, unit.heads, 3, c)
    points = unit.to_points(s).view(length, unit.heads, 2 * n_q + n_v, 3)
    bias = unit.pair_bias(z)
    heads = []
    for h in range(unit.heads):
        gamma = math.log1p(math.exp(unit.point_weight[h].item()))
        rows = []
        for i in range(length):
            scores = []
            for j in range(length):
                apart = torch.zeros((), dtype=s.dtype)
                for p in range(n_q):
                    if frames.exists[i] and frames.exists[j]:
                        here = frames.rotation[i] @ points[i, h, p] + frames.origin_nm[i]
                        there = frames.rotation[j] @ points[j, h, n_q + p] + frames.origin_nm[j]
                        apart = apart + ((here - there) ** 2).sum()
                score = scalars[i, h, 0] @ scalars[j, h, 1] / math.sqrt(c) + bias[i, j, h]
                score = score - gamma * math.sqrt(2 / (9 * n_q)) / 2 * apart
                scores.append(math.sqrt(1 / 3) * score if present[j] else torch.tensor(-math.inf, dtype=s.dtype))
            a = torch.stack(scores).softmax(0)
            read = torch.zeros(n_v, 3, dtype=s.dtype)
            for j in range(length):
                if frames.exists[i] and frames.exists[j]:
                    there = points[j, h, 2 * n_q :] @ frames.rotation[j].T + frames.origin_nm[j]
                    read = read + a[j] * (there - frames.origin_nm[i]) @ frames.rotation[i]  # x R = R^-1 x
            lengths = (read.square().sum(-1) + SMALLEST_NM**2).sqrt()
            rows.append(torch.cat((a @ scalars[:, h, 2], read.flatten(), lengths, a @ z[i])))
        heads.append(torch.stack(rows))
    return unit.out(torch.stack(heads, dim=1).flatten(1))


def test_point_attention_equals_the_algorithm_written_out() -> None:
    unit = seeded(PointAttention(settings())).double()
    s, z = torch.randn(2, 6, 16).double(), torch.randn(2, 6, 6, 6).double()
    frames, present = random_frames(2, 6), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    found = unit(s, z, frames, present)
    for b in range(2):
        own = Frames(frames.rotation[b], frames.origin_nm[b], frames.exists[b])
        torch.testing.assert_close(found[b], written_out(unit, s[b], z[b], own, present[b]), rtol=1e-10, atol=1e-10)


def test_points_weigh_one_when_training_begins() -> None:
    unit = PointAttention(settings())
    torch.testing.assert_close(torch.nn.functional.softplus(unit.point_weight), torch.ones(3))


def test_frames_are_rotations_that_turn_with_the_complex() -> None:
    nodes = in_double(made_nodes(5, 4, 1))
    turn = some_turn()
    frames = backbone_frames(nodes)
    moved = backbone_frames(changed(nodes, xyz_angstrom=nodes.xyz_angstrom @ turn.T + 40.0))
    assert frames.exists.tolist() == [[False] * 3 + [True] * 9]
    eye = torch.eye(3).double().expand(1, 12, 3, 3)
    torch.testing.assert_close(frames.rotation @ frames.rotation.transpose(-1, -2), eye)
    torch.testing.assert_close(frames.rotation.det(), torch.ones(1, 12).double())
    torch.testing.assert_close(moved.rotation[:, 3:], turn @ frames.rotation[:, 3:])
    torch.testing.assert_close(moved.origin_nm, frames.origin_nm @ turn.T)


def test_frames_stand_on_the_atoms_of_their_molecule() -> None:
    nodes = in_double(made_nodes(2, 2, 3))
    frames = backbone_frames(nodes)
    for row, atoms in ((3, (0, 1, 2)), (6, (1, 2, 3))):  # a protein residue, a nucleotide
        x1, x2, x3 = (nodes.xyz_angstrom[0, row, a] / ANGSTROM_PER_NM for a in atoms)
        local3 = frames.rotation[0, row].T @ (x3 - x2)
        local1 = frames.rotation[0, row].T @ (x1 - x2)
        assert local3[0] == pytest.approx((x3 - x2).norm().item())
        assert local3[1:].abs().max() < 1e-12
        assert local1[1] > 0
        assert local1[2].abs() < 1e-12


def test_a_missing_phosphate_leaves_a_frame_and_other_missing_atoms_do_not() -> None:
    nodes = made_nodes(3, 3, 1)
    nodes.atom_mask[0, 3, 3] = False  # O of a protein residue
    nodes.atom_mask[0, 4, 2] = False  # C
    nodes.atom_mask[0, 6, 0] = False  # P of a nucleotide
    nodes.atom_mask[0, 7, 3] = False  # N1 or N9
    nodes.xyz_angstrom[0, 8, 3] = 2 * nodes.xyz_angstrom[0, 8, 2] - nodes.xyz_angstrom[0, 8, 1]  # three on a line
    frames = backbone_frames(nodes)
    assert frames.exists[0].tolist() == [False] * 3 + [True, False, True, True, False, False]
    assert torch.equal(frames.origin_nm[0, 4], torch.zeros(3))
    assert torch.isfinite(frames.rotation).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_changes_when_the_complex_is_moved_and_turned(dtype: torch.dtype) -> None:
    model = made_model(PROTEIN_LM, RNA_LM).to(dtype)
    nodes, protein, rna = batch_of_two()
    nodes, protein, rna = in_double(nodes), protein.to(dtype), rna.to(dtype)
    moved = changed(nodes, xyz_angstrom=nodes.xyz_angstrom @ some_turn() + torch.tensor([3.0, -8.0, 5.0]))
    with torch.no_grad():
        found = [
            model.residues(changed(n, xyz_angstrom=n.xyz_angstrom.to(dtype)), protein, rna)[nodes.is_residue]
            for n in (nodes, moved)
        ]
    most = 1e-5 if dtype == torch.float32 else 1e-12
    assert (found[0] - found[1]).abs().max() < most * found[0].abs().max()


def test_where_the_residues_stand_has_an_effect_and_so_has_the_mirror() -> None:
    model = made_model()
    nodes = made_nodes(6, 4, 1)
    xyz = nodes.xyz_angstrom.clone()
    xyz[:, 5] += 3.0
    with torch.no_grad():
        s = model.residues(nodes, None, None)
        assert (model.residues(changed(nodes, xyz_angstrom=xyz), None, None) - s).abs().max() > 1e-4
        assert (model.residues(changed(nodes, xyz_angstrom=-nodes.xyz_angstrom), None, None) - s).abs().max() > 1e-4


def test_special_nodes_take_no_part() -> None:
    model = made_model()
    nodes, _, _ = batch_of_two()
    xyz, types = nodes.xyz_angstrom.clone(), nodes.residue_type.clone()
    xyz[:, :3] += 11.0
    types[:, :3] = types[:, [2, 0, 1]]
    with torch.no_grad():
        assert torch.equal(model(nodes, None, None), model(changed(nodes, xyz_angstrom=xyz), None, None))
        assert torch.equal(model(nodes, None, None), model(changed(nodes, residue_type=types), None, None))


def test_a_padded_complex_gives_what_it_gives_alone() -> None:
    model = made_model(PROTEIN_LM, RNA_LM)
    nodes, protein, rna = batch_of_two()
    alone = Nodes(**{name: value[:1, :13] for name, value in vars(nodes).items()})
    with torch.no_grad():
        found, expected = model(nodes, protein, rna)[0], model(alone, protein[:1, :13], rna[:1, :13])[0]
    assert abs(found - expected) < 1e-5
    assert found.dtype == torch.float32


def test_gradients_are_finite_and_reach_every_weight_without_any_atom_too() -> None:
    model = made_model(PROTEIN_LM, RNA_LM).train()
    nodes, protein, rna = batch_of_two()
    model(nodes, protein, rna).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
    bare = changed(nodes, atom_mask=torch.zeros_like(nodes.atom_mask))
    model.zero_grad()
    predicted = model(bare, protein, rna)
    predicted.sum().backward()
    assert torch.isfinite(predicted).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_it_is_the_model_of_its_experiment_and_learns_a_few_complexes_by_heart() -> None:
    model = build_model(settings(dropout=0.0), 0, 0).train()
    assert isinstance(model, IpaModel)
    nodes = together(*(padded(made_nodes(6 + seed % 2, 4, seed), 14) for seed in range(6)))
    labels = torch.tensor([-1.4, -0.8, -0.2, 0.3, 0.8, 1.3])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        loss = (model(nodes, None, None) - labels).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02 * labels.var(unbiased=False).item()


def test_half_precision_gives_about_the_same() -> None:
    model = made_model()
    nodes, _, _ = batch_of_two()
    expected = model(nodes, None, None)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(nodes, None, None)
    found.sum().backward()
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
