"""Co-Former without pair information and without special nodes (Table 3 of the paper)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from coformer_nodes import PROTEIN_LM, RNA_LM, batch_of_two, changed, made_embeddings, made_nodes, seeded, small_shape
from torch import Tensor

from copra.config_file import load_config
from copra.config_model import Coformer
from copra.model.coformer import EVERYTHING, AffinityModel, View, build_affinity_model
from copra.model.design import OFFICIAL, PAPER, Design
from copra.model.pair_features import PADDING_TYPE, Nodes

both_presets = pytest.mark.parametrize("design", [PAPER, OFFICIAL], ids=["paper", "official"])
PARTS = {
    "no_pairs": {"pair_information": False},
    "no_special_nodes": {"special_nodes": False},
    "neither": {"pair_information": False, "special_nodes": False},
}
every_ablation = pytest.mark.parametrize("without", PARTS.values(), ids=PARTS)


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def made(design: Design, without: dict[str, bool], blocks: int = 2) -> AffinityModel:
    return seeded(AffinityModel(replace(small_shape(design, blocks, PROTEIN_LM, RNA_LM), **without)))


def gradients(model: AffinityModel) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@both_presets
@every_ablation
def test_a_padded_complex_gives_what_it_gives_alone_with_its_gradients(design: Design, without) -> None:
    model = made(design, without)
    nodes, protein, rna = batch_of_two()
    alone = Nodes(**{name: value[:1, :13] for name, value in vars(nodes).items()})
    results = []
    for inputs in ((nodes, protein, rna), (alone, protein[:1, :13], rna[:1, :13])):
        model.zero_grad()
        first = model(*inputs)[0]
        first.backward()
        results.append((first, gradients(model)))
    (found, found_gradients), (expected, expected_gradients) = results
    assert abs(found - expected) < 1e-5 * max(1.0, abs(expected))
    assert found_gradients.keys() == expected_gradients.keys()
    largest = max(gradient.abs().max() for gradient in expected_gradients.values())
    for name, gradient in expected_gradients.items():
        assert (found_gradients[name] - gradient).abs().max() < 1e-5 * largest, name


@both_presets
@every_ablation
def test_every_weight_that_can_matter_gets_a_finite_gradient(design: Design, without) -> None:
    model = made(design, without).train()
    model(*batch_of_two()).sin().sum().backward()
    idle = {f"coformer.blocks.1.{name}" for name in ("outer_", "pair_norm", "pair_projection", "pair_feed_forward")}
    idle.add("coformer.final_pair_norm")
    if without.get("pair_information", True):
        idle.add("coformer.mask_token")
    for name, parameter in model.named_parameters():
        if any(name.startswith(start) for start in idle):
            assert parameter.grad is None or not parameter.grad.abs().sum(), name
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@both_presets
@torch.no_grad()
def test_without_pair_information_no_coordinate_and_no_place_in_a_chain_is_read(design: Design) -> None:
    model = made(design, {"pair_information": False})
    nodes, protein, rna = batch_of_two()
    other = changed(
        nodes,
        xyz_angstrom=torch.randn_like(nodes.xyz_angstrom),
        atom_mask=torch.zeros_like(nodes.atom_mask),
        polymer_index=nodes.polymer_index * 7,
        chain=nodes.chain + 1,
    )
    assert torch.equal(model(nodes, protein, rna), model(other, protein, rna))


@both_presets
@torch.no_grad()
def test_without_pair_information_is_the_full_model_with_every_pair_hidden(design: Design) -> None:
    full, ablated = made(design, {}), made(design, {"pair_information": False})
    state = full.state_dict()
    ablated.load_state_dict({name: tensor for name, tensor in state.items() if "pair_encoder" not in name})
    nodes, protein, rna = batch_of_two()
    hidden = torch.ones(2, 19, 19, dtype=torch.bool)
    node = full.coformer.complex_node(nodes, protein, rna, View(hidden, within_molecules=False))
    torch.testing.assert_close(ablated(nodes, protein, rna), full.head(node), rtol=1e-5, atol=1e-6)


@both_presets
@pytest.mark.parametrize("blocks", [1, 3])
@torch.no_grad()
def test_without_special_nodes_equals_masking_them_and_averaging(design: Design, blocks: int) -> None:
    model = made(design, {"special_nodes": False}, blocks)
    nodes, protein, rna = batch_of_two()
    masked = changed(nodes, residue_type=nodes.residue_type.clone())
    masked.residue_type[:, :3] = PADDING_TYPE
    s, _ = model.coformer(masked, protein, rna, EVERYTHING)
    mean = (s * nodes.is_residue[..., None]).sum(1) / nodes.is_residue.sum(1, keepdim=True)
    torch.testing.assert_close(model(nodes, protein, rna), model.head(mean), rtol=1e-5, atol=1e-6)


@both_presets
@torch.no_grad()
def test_without_special_nodes_nothing_of_them_is_read(design: Design) -> None:
    model = made(design, {"special_nodes": False})
    nodes, protein, rna = batch_of_two()
    xyz, types = nodes.xyz_angstrom.clone(), nodes.residue_type.clone()
    xyz[:, :3] += 9.0
    types[:, :3] = 5
    other = changed(nodes, xyz_angstrom=xyz, residue_type=types)
    lms = [torch.cat((lm[:, :3] + 4.0, lm[:, 3:]), dim=1) for lm in (protein, rna)]
    assert torch.equal(model(nodes, protein, rna), model(other, *lms))


@both_presets
@torch.no_grad()
def test_without_special_nodes_a_molecule_may_be_absent(design: Design) -> None:
    model = made(design, {"special_nodes": False})
    nodes = changed(made_nodes(5, 4, 1), molecule=torch.tensor([[-1] * 3 + [0] * 9]))
    assert torch.isfinite(model(nodes, *made_embeddings(1, 12))).all()


@every_ablation
def test_half_precision_gives_about_the_same(without) -> None:
    model = made(OFFICIAL, without)
    inputs = batch_of_two()
    expected = model(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(*inputs)
    found.sum().backward()
    assert (found - expected).abs().max() < 0.1 * expected.abs().max()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(model).values())


def test_the_weights_of_the_full_model_keep_their_names() -> None:
    full, bare = set(made(OFFICIAL, {}).state_dict()), set(made(OFFICIAL, PARTS["neither"]).state_dict())
    assert bare == {name for name in full if "pair_encoder" not in name}
    assert {name.split(".")[1] for name in full if name.startswith("coformer.")} == {
        "type_embedding", "protein_projection", "rna_projection", "input_norm", "pair_encoder", "mask_token", "blocks",
        "final_norm", "final_pair_norm",
    }  # fmt: skip


def test_the_experiments_of_table_3_are_these_models(root: Path) -> None:
    experiments = load_config(root / "config.yaml").experiments
    expected = {
        "coformer_scratch": (True, True, 256),
        "coformer_no_pairs": (False, True, 256),
        "coformer_no_pairs_no_crop": (False, True, 2048),
        "coformer_no_pairs_no_crop_no_special_nodes": (False, False, 2048),
    }
    for name, (pairs, special, most) in expected.items():
        experiment = experiments[name]
        assert isinstance(experiment, Coformer)
        assert experiment.interface_nodes == most
        small = experiment.model_copy(update={"blocks": 1, "sequence_width": 40, "head_width": 8, "pair_width": 4})
        model = build_affinity_model(small, 0, 0)
        assert (model.coformer.pair_encoder is not None, model.special_nodes) == (pairs, special), name
