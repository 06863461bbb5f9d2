"""LM+Transformer and the network of DeePNAP's kind: neither reads a coordinate, and nothing leaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from coformer_nodes import PROTEIN_LM, RNA_LM, batch_of_two, changed, made_nodes, padded, seeded, together
from torch import Tensor, nn

from copra.config_experiments import DeepNap, SequenceTransformer
from copra.errors import InputError
from copra.model.deepnap import ConvolutionStack, chain_letters
from copra.model.pair_features import PADDING_TYPE, Nodes
from copra.model.sequence_transformer import sinusoids
from copra.train.models import build_model

LOOP: dict[str, Any] = {
    "learning_rate": 1e-3, "weight_decay": 0.0, "batch_size": 2, "accumulate_batches": 1, "epochs": 1,
    "patience_epochs": 1, "gradient_clip": None, "plateau_factor": None, "plateau_patience_epochs": 0,
    "min_learning_rate": 0.0, "precision": "fp32", "checkpoint_minutes": 1.0, "loader_threads": 0,
    "protocol": "nested", "inner_folds": 2, "shuffle_labels": False, "protein_lm": None, "rna_lm": None,
    "interface_nodes": 32, "dropout": 0.2,
}  # fmt: skip
TRANSFORMER = SequenceTransformer(**LOOP, model="transformer", nodes="interface", blocks=2, width=16, heads=4)
DEEPNAP = DeepNap(**LOOP, model="deepnap", nodes="sequences", channels=[8, 12], kernel=5, head_width=10)
both_models = pytest.mark.parametrize("experiment", [TRANSFORMER, DEEPNAP], ids=["transformer", "deepnap"])


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def made(experiment: SequenceTransformer | DeepNap) -> tuple[nn.Module, Nodes, Tensor | None, Tensor | None]:
    """The model with inputs of a padded and a longer complex."""
    nodes, protein, rna = batch_of_two()
    if isinstance(experiment, DeepNap):
        return seeded(build_model(experiment, 0, 0)), nodes, None, None
    return seeded(build_model(experiment, PROTEIN_LM, RNA_LM)), nodes, protein, rna


@both_models
@torch.no_grad()
def test_no_coordinate_is_read(experiment) -> None:
    model, nodes, *lms = made(experiment)
    elsewhere = changed(
        nodes, xyz_angstrom=torch.randn_like(nodes.xyz_angstrom), atom_mask=torch.zeros_like(nodes.atom_mask)
    )
    assert torch.equal(model(nodes, *lms), model(elsewhere, *lms))


@both_models
@torch.no_grad()
def test_special_nodes_take_no_part(experiment) -> None:
    model, nodes, *lms = made(experiment)
    types = nodes.residue_type.clone()
    types[:, :3] = types[:, [2, 0, 1]]
    lms = [None if lm is None else torch.cat((lm[:, :3] + 5.0, lm[:, 3:]), dim=1) for lm in lms]
    assert torch.equal(model(nodes, *made(experiment)[2:]), model(changed(nodes, residue_type=types), *lms))


@both_models
@torch.no_grad()
def test_a_padded_complex_gives_what_it_gives_alone(experiment) -> None:
    model, nodes, *lms = made(experiment)
    alone = Nodes(**{name: value[:1, :13] for name, value in vars(nodes).items()})
    found = model(nodes, *lms)[0]
    expected = model(alone, *(None if lm is None else lm[:1, :13] for lm in lms))[0]
    assert abs(found - expected) < 1e-5
    assert found.dtype == torch.float32


@both_models
def test_every_weight_gets_a_finite_gradient(experiment) -> None:
    model, nodes, *lms = made(experiment)
    model.train()(nodes, *lms).sin().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@both_models
def test_dropout_follows_the_generator_and_is_off_in_evaluation(experiment) -> None:
    model, nodes, *lms = made(experiment)

    def outputs(seed: int) -> Tensor:
        torch.manual_seed(seed)
        with torch.no_grad():
            return model(nodes, *lms)

    assert torch.equal(outputs(1), outputs(2))
    model.train()
    assert torch.equal(outputs(1), outputs(1))
    assert not torch.equal(outputs(1), outputs(2))


@both_models
def test_it_can_learn_a_few_complexes_by_heart(experiment) -> None:
    model = build_model(experiment.model_copy(update={"dropout": 0.0}), 0, 0).train()
    nodes = together(*(padded(made_nodes(7 + seed % 2, 5, seed), 16) for seed in range(6)))
    labels = torch.tensor([-1.4, -0.8, -0.2, 0.3, 0.8, 1.3])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        loss = (model(nodes, None, None) - labels).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02 * labels.var(unbiased=False).item()


@both_models
@torch.no_grad()
def test_letters_and_their_order_have_an_effect(experiment) -> None:
    model = seeded(build_model(experiment, 0, 0))
    nodes = made_nodes(9, 5, 3)
    types = nodes.residue_type.clone()
    types[0, 3:12] = types[0, 3:12].flip(0)
    other = nodes.residue_type.clone()
    other[0, 6] = (other[0, 6] + 1) % 20
    expected = model(nodes, None, None)
    for changed_types in (types, other):
        found = model(changed(nodes, residue_type=changed_types), None, None)
        assert (found - expected).abs().max() > 1e-5


@torch.no_grad()
def test_embeddings_are_read_at_their_molecule_alone() -> None:
    model, nodes, protein, rna = made(TRANSFORMER)
    assert protein is not None
    expected = model(nodes, protein, rna)
    at = (nodes.molecule == 0)[..., None]
    assert torch.equal(model(nodes, torch.where(at, protein, 9.0), rna), expected)
    assert (model(nodes, torch.where(at, 9.0, protein), rna) - expected).abs().min() > 1e-5


def test_positions_are_told_apart_and_start_anew_with_each_chain() -> None:
    position = torch.tensor([[0, 1, 2, 700, 0, 1]])
    code = sinusoids(position, 16)
    assert torch.equal(code[0, 4:], code[0, :2])
    assert torch.cdist(code[0, :4], code[0, :4]).add(torch.eye(4) * 9).min() > 0.1


def test_a_width_that_the_heads_do_not_divide_and_a_language_model_for_letters_are_refused() -> None:
    with pytest.raises(InputError, match="even multiple of heads"):
        build_model(TRANSFORMER.model_copy(update={"heads": 3}), 0, 0)
    with pytest.raises(InputError, match="letters alone"):
        build_model(DEEPNAP, PROTEIN_LM, 0)


# --- DeePNAP's kind: chains -----------------------------------------------------------------------------


def chains_of(*lengths: int) -> Nodes:
    """Protein chains of these lengths and one RNA of four."""
    nodes = made_nodes(sum(lengths), 4, 5)
    of_protein = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    rna = torch.full((4,), len(lengths))
    return changed(nodes, chain=torch.cat((torch.full((3,), -1), of_protein, rna))[None])


def test_chains_stand_apart_by_blanks() -> None:
    nodes = chains_of(3, 2)
    letters = chain_letters(nodes, 0, 5)
    first, second = nodes.residue_type[0, 3:6].tolist(), nodes.residue_type[0, 6:8].tolist()
    assert letters.tolist() == [first + [PADDING_TYPE] * 5 + second]
    assert chain_letters(nodes, 1, 5).tolist() == [nodes.residue_type[0, 8:].tolist()]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [1, 4, 5])
@torch.no_grad()
def test_nothing_passes_the_border_between_two_chains(kernel: int) -> None:
    stack = seeded(ConvolutionStack([8, 6, 6], kernel, 0.0))
    nodes = chains_of(7, 6)
    lone = [changed(nodes, molecule=torch.where(nodes.chain == c, 0, 1)) for c in (0, 1)]
    both = chain_letters(nodes, 0, kernel)
    alone = [chain_letters(one, 0, kernel) for one in lone]
    found, expected = stack(both), [stack(letters) for letters in alone]
    largest = torch.maximum(expected[0][:, :6], expected[1][:, :6])
    torch.testing.assert_close(found[:, :6], largest, rtol=1e-5, atol=1e-6)
    mean = (7 * expected[0][:, 6:] + 6 * expected[1][:, 6:]) / 13
    torch.testing.assert_close(found[:, 6:], mean, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_stack_equals_a_slow_convolution() -> None:
    stack = seeded(ConvolutionStack([3, 4], 5, 0.0))
    letters = torch.tensor([[2, 0, 7, 11]])
    x = stack.embedding(letters)[0]
    for layer in stack.convolutions:
        wide = torch.cat((torch.zeros(2, x.shape[1]), x, torch.zeros(2, x.shape[1])))
        x = torch.stack([(layer.weight * wide[t : t + 5].T).sum((1, 2)) + layer.bias for t in range(4)]).relu()
    torch.testing.assert_close(stack(letters)[0], torch.cat((x.amax(0), x.mean(0))))


@torch.no_grad()
def test_a_complex_without_one_molecule_gives_a_number() -> None:
    model = seeded(build_model(DEEPNAP, 0, 0))
    nodes = changed(made_nodes(5, 4, 1), molecule=torch.tensor([[-1] * 3 + [0] * 9]))
    assert torch.isfinite(model(nodes, None, None)).all()
