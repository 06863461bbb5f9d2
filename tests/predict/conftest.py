"""Trained packages, made once for all tests of predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from predict_world import PredictWorld, coformer, deepnap, predict_world
from tiny_model import tiny_model


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> PredictWorld:
    """Experiments `lms` (Co-Former with language models), `structure` (without), `sequences` (DeePNAP's kind)."""
    world = predict_world(tmp_path_factory.mktemp("predict_world"))
    for name, experiment in (("lms", coformer(True)), ("structure", coformer(False)), ("sequences", deepnap())):
        world.package(name, experiment)
    return world


@pytest.fixture(scope="session")
def packages(trained: PredictWorld) -> dict[str, Path]:
    """The folders of the packages by their experiment."""
    return {name: trained.folder / "models" / name for name in ("lms", "structure", "sequences")}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained packages: `lm` reads both language models, `structure` none, `alone` has a single member."""
    folder = tmp_path_factory.mktemp("models")
    both = {"protein_lm": "esm2_random", "rna_lm": "rinalmo_random"}
    none = {"protein_lm": None, "rna_lm": None}
    return {
        "lm": tiny_model(folder / "lm", **both),
        "structure": tiny_model(folder / "structure", **none),
        "alone": tiny_model(folder / "alone", **none, n_members=1),
    }
