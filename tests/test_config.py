from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from copra.config import Coformer
from copra.config_file import load_config, parse_config, parse_settings
from copra.errors import ConfigError


@pytest.fixture
def values(root: Path) -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((root / "config.yaml").read_text()))


def test_the_configuration_in_the_repository_is_accepted(root: Path) -> None:
    assert load_config(root / "config.yaml").split.folds == 5


@pytest.mark.parametrize("name", ["resources/demo/config.yaml", "tests/real/config.yaml"])
def test_the_overriding_files_are_accepted_on_top_of_it(root: Path, name: str) -> None:
    config = load_config(root / "config.yaml", root / name)
    assert config.paths.results != load_config(root / "config.yaml").paths.results
    assert config.seed == 2024


@pytest.mark.parametrize(("text", "expected"), [("a: [", "not a readable YAML file"), ("- 1\n", "expected keys")])
def test_a_file_that_is_no_configuration_is_named(root: Path, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"mine.yaml: {expected}"):
        load_config(root / "config.yaml", tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("split.purge.protein_identity", 1.5, "split.purge.protein_identity: found 1.5"),
        ("split.folds", "5", "split.folds: found '5'"),
        ("split.fold", 5, "split.fold: unknown key"),
        ("pra310.dg_window_kcal_mol", {"low": -5.0, "high": -13.0}, "pra310.dg_window_kcal_mol: "),
        ("pra310.default_temperature_k", 25.0, "pra310.default_temperature_k: found 25.0"),
        ("experiments.coformer_scratch.heads", 19, "sequence_width (320) must be an even multiple of heads (19)"),
        ("experiments.coformer_scratch.rna_lm", "esm2_650M", "'esm2_650M' is none of"),
        ("experiments.train_mean.model", "median", "experiments.train_mean"),
        ("experiments.coformer_scratch.protocol", "peek", "protocol: found 'peek'"),
        ("evaluate.table3", ["no_such"], "evaluate.table3: 'no_such' is not in experiments"),
        ("evaluate.by_family.families", ["protein70"], "evaluate.by_family.families: 'protein70' is none of"),
        ("evaluate.by_family.experiments", ["coformer_pretrained"], "'coformer_pretrained' is pre-trained"),
        ("experiments.lm_svr.rna_lm", None, "rna_lm is None and features are"),
        ("experiments.coformer_pretrained.special_nodes", False, "starts from scratch: pretrained: null"),
        ("sources.biolip2.sha256", "abc", "sources.biolip2.sha256: found 'abc'"),
    ],
)
def test_a_refused_value_is_named_with_its_path(values: dict[str, Any], path: str, value: Any, expected: str) -> None:
    place = values
    *folders, last = path.split(".")
    for folder in folders:
        place = place[folder]
    place[last] = value
    with pytest.raises(ConfigError) as refused:
        parse_config(values)
    assert expected in str(refused.value)


def test_every_key_is_needed(values: dict[str, Any]) -> None:
    del values["structures"]["contact_cutoff_angstrom"]
    with pytest.raises(ConfigError, match=r"structures\.contact_cutoff_angstrom: missing"):
        parse_config(values)


def test_a_part_travels_as_json(root: Path) -> None:
    experiment = load_config(root / "config.yaml").experiments["coformer_scratch"]
    assert parse_settings(Coformer, experiment.model_dump_json()) == experiment


def test_a_control_is_its_experiment_on_labels_dealt_anew(values: dict[str, Any]) -> None:
    values["evaluate"]["controls"] = ["gcn", "lm_svr"]
    config = parse_config(values)
    assert config.evaluate.tables()["controls"] == ["gcn_shuffled", "lm_svr_shuffled"]
    assert config.experiments["gcn_shuffled"].model_dump() == {
        **config.experiments["gcn"].model_dump(),
        "shuffle_labels": True,
    }
    assert parse_config(config.model_dump()) == config
