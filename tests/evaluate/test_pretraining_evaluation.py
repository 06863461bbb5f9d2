from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pair_world import HELD, PairWorld, bins_of, blank, make_pair_world, tiny_recipe
from train.conftest import make_interface

from copra.evaluate.distance_errors import Marginals, errors, interfacial
from copra.evaluate.pretraining import evaluate_pretraining
from copra.evaluate.report import report
from copra.evaluate.retrieval import (
    Question,
    ask,
    chance,
    length_scores,
    partner_size_scores,
    places,
    retrieval_metrics,
)
from copra.structure.distance_bins import BIN_CENTRES_ANGSTROM, N_BINS
from copra.tables import read_table, write_table
from copra.train.data import build_sample
from copra.train.pretrain import pretrain

NEEDS_CD_HIT = pytest.mark.skipif(shutil.which("cd-hit") is None, reason="the program cd-hit is not here")


def pair_rows(proteins: str, rnas: str) -> pd.DataFrame:
    """Rows of `pri30k` with these sequences, one letter for each."""
    rows = [
        blank("pri30k") | {"pair_id": f"p{i:02}", "protein_sha256": p, "rna_sha256": r}
        for i, (p, r) in enumerate(zip(proteins, rnas, strict=True))
    ]
    return pd.DataFrame(rows)


def test_no_known_partner_stands_in_the_line() -> None:
    pairs = pair_rows("AABCDE", "rsrtuv")
    clusters = np.array(list("112345"))
    of_rna = ask(pairs, clusters, "rna", 10, seed=0)
    # A and its cluster bind r and s, B binds r: A's other candidates are t, u, v
    assert sorted(pairs["rna_sha256"][of_rna[0].candidates[1:]]) == ["t", "u", "v"]
    assert sorted(pairs["rna_sha256"][of_rna[2].candidates[1:]]) == ["s", "t", "u", "v"]
    of_protein = ask(pairs, clusters, "protein", 10, seed=0)
    assert sorted(pairs["protein_sha256"][of_protein[0].candidates[1:]]) == ["C", "D", "E"]
    assert all(question.candidates[0] == question.pair for question in of_rna + of_protein)
    assert all(len(q.candidates) <= 3 for q in ask(pairs, clusters, "rna", 3, seed=0))


def test_two_sequences_are_asked_about_once_and_a_lonely_pair_not_at_all() -> None:
    pairs = pair_rows("AAB", "rrs")
    assert [q.pair for q in ask(pairs, np.array(list("112")), "rna", 5, seed=0)] == [0, 2]
    assert ask(pair_rows("AA", "rr"), np.array(list("11")), "rna", 5, seed=0) == []


def test_places_and_what_follows_from_them() -> None:
    questions = [Question(0, np.array([0, 1, 2, 3])), Question(1, np.array([1, 0, 2]))]
    scores = np.array([[0.5, 0.9, 0.1, 0.7], [0.3, 0.3, 0.2, 0.0], [0] * 4, [0] * 4], dtype=float)
    place = places(questions, scores)
    assert place.tolist() == [3.0, 1.5]
    found = retrieval_metrics(place)
    assert found["top1"].tolist() == [0.0, 0.5]
    assert found["top5"].tolist() == [1.0, 1.0]
    assert found["mrr"] == pytest.approx([1 / 3, 1 / 1.5])
    random = chance(questions)
    assert random["top1"] == pytest.approx([1 / 4, 1 / 3])
    assert random["mrr"] == pytest.approx([(1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, (1 + 1 / 2 + 1 / 3) / 3])


def test_chance_is_what_random_scores_get() -> None:
    generator = np.random.default_rng(0)
    questions = [Question(i, np.array([i, *(j for j in range(10) if j != i)])) for i in range(10)]
    drawn = [retrieval_metrics(places(questions, generator.random((10, 10)))) for _ in range(300)]
    for metric, values in chance(questions).items():
        assert np.mean([one[metric] for one in drawn]) == pytest.approx(values.mean(), abs=0.02)


def test_trivial_predictors_see_what_they_say() -> None:
    training = pd.DataFrame({"n_protein_residues": [100, 200, 400], "n_rna_nucleotides": [10, 20, 40]})
    held = pd.DataFrame({"n_protein_residues": [150, 300], "n_rna_nucleotides": [15, 30]})
    assert length_scores(training, held, "rna").argmax(1).tolist() == [0, 1]
    assert length_scores(training, held, "protein").argmax(1).tolist() == [0, 1]
    assert length_scores(training, held, "rna").diagonal() == pytest.approx([0, 0], abs=1e-9)
    assert partner_size_scores(np.array([5, 9])).tolist() == [[0, -4], [-4, 0]]


def test_errors_of_distances() -> None:
    sure = np.eye(N_BINS)[[3, 30]]
    found = errors(sure, np.array([3, 28]))
    assert found["mae_angstrom"] == pytest.approx([0, 2])
    assert found["bin_accuracy"].tolist() == [1, 0]
    split = np.zeros((1, N_BINS))
    split[0, [4, 8]] = 0.25, 0.75
    assert errors(split, np.array([4]))["mae_angstrom"] == pytest.approx([1.5])


def test_marginals_of_a_made_interface() -> None:
    interface = make_interface("x:A:B", np.random.default_rng(0), 30, 6)
    sample = build_sample(interface, 96, 0.0, None, None)
    bins = np.pad(bins_of(interface), ((3, 0), (3, 0)), constant_values=255)
    pairs = interfacial(sample, bins)
    assert len(pairs.bins) == 30 * 6
    assert pairs.bins.max() < N_BINS
    found = Marginals()
    found.add(pairs)
    assert found.probabilities() == pytest.approx(np.bincount(pairs.bins, minlength=N_BINS) / 180)
    assert found.of_types(pairs.types).sum(1) == pytest.approx(1.0)
    told = found.of_backbone(pairs.backbone_angstrom)  # the made labels are those of the backbone
    assert errors(told, pairs.bins)["mae_angstrom"].mean() < 0.5
    assert np.abs(pairs.backbone_angstrom - BIN_CENTRES_ANGSTROM[pairs.bins])[pairs.bins < 16].max() <= 0.26


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PairWorld, dict[str, Any]]:
    """A results folder with one pre-trained recipe of one scope, and what made it."""
    results = tmp_path_factory.mktemp("evaluated")
    out = results / "pretrain" / "tiny" / "all"
    world = make_pair_world(results / "world", make_interface, 24, seed=1)
    arguments = world.arguments(out, tiny_recipe(epochs=2))
    pretrain(**arguments)
    asked = {
        **{name: arguments[name] for name in ("model", "description", "pairs", "pri30k", "interfaces", "distances")},
        **{"protein_embeddings": [], "rna_embeddings": [], "held_out": HELD, "bootstrap_samples": 100},
        **{"confidence": 0.95, "out": out / "evaluation.parquet"},
    }
    evaluate_pretraining(**asked)
    return results, world, asked


@NEEDS_CD_HIT
def test_the_table_holds_model_chance_and_trivial_predictors(evaluated) -> None:
    _, _, asked = evaluated
    table = read_table(asked["out"], "pretraining")
    of_find = table[table["task"] == "find_rna"]
    assert set(of_find["predictor"]) == {"model", "chance", "length", "partner_size"}
    assert set(of_find.loc[of_find["predictor"] == "model", "condition"]) == {"as_trained", "apart"}
    assert (of_find["n_candidates"] == 5).all()
    of_distance = table[table["task"] == "distance"]
    assert set(of_distance["predictor"]) == {"model", "chance", "residue_types", "backbone"}
    assert set(of_distance["condition"]) == {"unmasked", "masked", "unmasked_near", "masked_near"}
    assert (table["ci_low"] <= table["value"] + 1e-12).all()
    assert (table["value"] <= table["ci_high"] + 1e-12).all()
    assert set(table["weights"]) == {"no language model"}
    assert set(table["architecture"]) == {"official"}


@NEEDS_CD_HIT
def test_the_same_again(evaluated, tmp_path: Path) -> None:
    _, _, asked = evaluated
    evaluate_pretraining(**{**asked, "out": tmp_path / "again.parquet"})
    assert (tmp_path / "again.parquet").read_bytes() == asked["out"].read_bytes()


@NEEDS_CD_HIT
def test_the_report_tells_of_pre_training_where_there_was_some(evaluated, sample: ModuleType, tmp_path: Path) -> None:
    run = sample.write_results(tmp_path)
    report(tmp_path / "results", config=run, tables=["table1"], out=tmp_path / "without.html")
    assert 'id="pretraining"' not in (tmp_path / "without.html").read_text()
    shutil.copytree(evaluated[0] / "pretrain", tmp_path / "results" / "pretrain")
    report(tmp_path / "results", config=run, tables=["table1"], out=tmp_path / "with.html")
    page = (tmp_path / "with.html").read_text()
    part = page.partition('id="pretraining"')[2].partition('id="sources"')[0]
    assert "No pre-trained language model was used." in part
    assert "RNA of a protein, as trained" in part
    assert "distances, masked, below 7.75 Å" in part
    picture = base64.b64decode(part.partition("base64,")[2].partition('"')[0]).decode()
    assert picture.count("<svg") == 1
    assert "loss on held-out clusters" in picture or "epoch" in picture


@NEEDS_CD_HIT
def test_embeddings_of_other_weights_are_refused(evaluated, tmp_path: Path) -> None:
    from copra.errors import InputError

    _, _, asked = evaluated
    said = json.loads(asked["description"].read_text())
    (tmp_path / "model.json").write_text(json.dumps(said | {"language_models": "esm2_650M sha256:0"}))
    with pytest.raises(InputError, match="trained on embeddings of esm2_650M"):
        evaluate_pretraining(**{**asked, "description": tmp_path / "model.json", "out": tmp_path / "x.parquet"})


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    from copra.tables import empty_table

    write_table(empty_table("pretraining"), tmp_path / "evaluation.parquet", "pretraining")
