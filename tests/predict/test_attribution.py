"""Hiding a residue is leaving its node out, and the gradient of its gate is a good guess at that."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from predict_world import PredictWorld, coformer, demo_file
from scipy.stats import spearmanr

from copra.errors import InputError
from copra.model.pair_features import N_SPECIAL
from copra.predict.attribution import contributions, gate_slopes_kcal_mol, gated, without_node
from copra.predict.engine import Case, Engine
from copra.predict.package import read_package
from copra.predict.views import seen_nodes
from copra.structure.interface import NODE_ARRAYS, Interface
from copra.train.data import collate
from copra.train.samples import Sample


def opened(package: Path, pdb_id: str = "0dac") -> tuple[Engine, Case, Sample]:
    engine = Engine(read_package(package), {}, "cpu")
    case = engine.case(demo_file(pdb_id), None, None, None)
    engine.embed(case.sequences)
    return engine, case, engine.sample(case.interface)


def without_residue(interface: Interface, node: int) -> Interface:
    return replace(interface, **{name: np.delete(getattr(interface, name), node, axis=0) for name in NODE_ARRAYS})


@pytest.fixture(scope="module")
def whole(trained: PredictWorld) -> Path:
    """A Co-Former that sees every residue of the interfaces, so that none moves up for one that is left out."""
    return trained.package("whole", coformer(True, interface_nodes=256))


def test_hiding_is_building_the_sample_without_the_residue(whole: Path) -> None:
    engine, case, sample = opened(whole)
    nodes, rows = seen_nodes(case.interface, sample)
    assert rows == list(range(N_SPECIAL, len(sample)))
    hidden = contributions(engine, sample, rows, "hiding")
    for node in (nodes[0], nodes[7], nodes[-1]):
        built = engine.sample(without_residue(case.interface, node))
        for field in fields(Sample):
            if field.name != "label":
                assert np.array_equal(getattr(built, field.name), getattr(without_node(sample, rows[node]), field.name))
        expected = engine.dg_kcal_mol([built]) - engine.dg_kcal_mol([sample])
        assert hidden[:, node] == pytest.approx(expected[:, 0], abs=1e-5)
    assert np.abs(hidden).max() > 1e-3


def test_of_a_crop_no_other_residue_moves_up(packages: dict[str, Path]) -> None:
    _, case, sample = opened(packages["lms"])
    nodes, rows = seen_nodes(case.interface, sample)
    assert len(nodes) == 24 < len(case.interface.molecule)
    assert len(without_node(sample, rows[3])) == len(sample) - 1
    assert sample.residue_type[rows].tolist() == case.interface.residue_type[nodes].tolist()


def test_models_of_whole_sequences_have_rows_for_the_interface(packages: dict[str, Path]) -> None:
    engine, case, sample = opened(packages["sequences"])
    nodes, rows = seen_nodes(case.interface, sample)
    assert len(nodes) == len(case.interface.molecule) < len(sample)
    assert sample.residue_type[rows].tolist() == case.interface.residue_type[nodes].tolist()
    assert contributions(engine, sample, rows, "hiding").shape == (2, len(rows))


@pytest.mark.parametrize("name", ["lms", "structure"])
def test_the_gate_is_the_model_where_it_is_open_and_takes_a_node_out_where_it_is_shut(
    packages: dict[str, Path], name: str
) -> None:
    engine, _, sample = opened(packages[name])
    model, batch = engine.members.models[0], collate([sample], torch.device("cpu"))
    padded = collate([blanked(sample, 9)], torch.device("cpu"))  # in its place: what attention masks know
    with torch.no_grad():
        plain = model(batch.nodes, batch.protein_lm, batch.rna_lm)
        out = model(padded.nodes, padded.protein_lm, padded.rna_lm)
        gate = torch.ones(len(sample))
        with gated(model, gate):
            assert model(batch.nodes, batch.protein_lm, batch.rna_lm).item() == pytest.approx(plain.item(), abs=1e-5)
        gate[9] = 0.0
        with gated(model, gate):
            assert model(batch.nodes, batch.protein_lm, batch.rna_lm).item() == pytest.approx(out.item(), abs=1e-5)
        assert model(batch.nodes, batch.protein_lm, batch.rna_lm).item() == plain.item()
    assert abs(out.item() - plain.item()) > 1e-5


def blanked(sample: Sample, row: int) -> Sample:
    """The sample with padding in the place of one node: nobody sees it, and all keep their places."""
    changed = {}
    for name, value in (("residue_type", 29), ("molecule", -1), ("chain", -1), ("atom_mask", False)):
        changed[name] = getattr(sample, name).copy()
        changed[name][row] = value
    return replace(sample, **changed)


@pytest.mark.parametrize("pdb_id", ["0dac", "0dbc"])
def test_the_gradient_ranks_residues_as_hiding_does(packages: dict[str, Path], pdb_id: str) -> None:
    """Against padding in place 0.98 or more; against leaving out, which also moves the numbers of later nodes, less."""
    engine, case, sample = opened(packages["lms"], pdb_id)
    _, rows = seen_nodes(case.interface, sample)
    slope = contributions(engine, sample, rows, "gradient")
    masked = engine.dg_kcal_mol([blanked(sample, row) for row in rows]) - engine.dg_kcal_mol([sample])
    for one, other in zip(slope, masked, strict=True):
        assert spearmanr(one, other).statistic > 0.98
    left_out = contributions(engine, sample, rows, "hiding").mean(axis=0)
    assert spearmanr(slope.mean(axis=0), left_out).statistic > 0.5


def test_the_slope_is_that_of_small_steps(packages: dict[str, Path]) -> None:
    engine, _, sample = opened(packages["structure"])
    model, batch = engine.members.models[0], collate([sample], torch.device("cpu"))
    step, values = 1e-2, []
    for gate_of_row in (1 - step, 1 + step):
        gate = torch.ones(len(sample))
        gate[9] = gate_of_row
        with torch.no_grad(), gated(model, gate):
            values.append(model(batch.nodes, None, None).item())
    measured = (values[1] - values[0]) / (2 * step) * engine.package.members[0].label_sd_kcal_mol
    assert gate_slopes_kcal_mol(engine, sample)[0, 9] == pytest.approx(measured, rel=0.05, abs=1e-4)


def test_a_gradient_of_another_model_is_refused(packages: dict[str, Path]) -> None:
    engine, _, sample = opened(packages["sequences"])
    with pytest.raises(InputError, match="expected a Co-Former with special nodes, 'sequences' is another model"):
        contributions(engine, sample, [3], "gradient")
