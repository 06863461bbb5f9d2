"""Trained packages, made once for all tests of predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from predict_world import PredictWorld, coformer, deepnap, predict_world


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
