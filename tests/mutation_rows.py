"""Small tables of mutation records and predictions for the tests of Table 2."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from copra.config_evaluate import Evaluate
from copra.config_file import load_config
from copra.config_mutation import MeanEffect, MutationExperiment, ZeroShot
from copra.evaluate.mutation_metrics import evaluate_mutations
from copra.tables import read_table

# mutations of each complex of the blind test: two are too small to count by themselves
SIZES = {"1abc:A:B": 6, "2abc:A:B": 4, "3abc:A:B": 3, "4abc:A:B": 2, "5abc:A:B": 1}
ZERO_SHOT, MEAN = ZeroShot(kind="zero_shot", base="coformer_structure"), MeanEffect(kind="mean")
Rows = list[dict[str, Any]]


def blind_records(sample: ModuleType) -> Rows:
    """A blind test with measured effects drawn from a seed; every second mutation is in the interface."""
    generator = np.random.default_rng(11)
    rows = []
    for complex_id, n in SIZES.items():
        for i in range(n):
            rows.append(sample.fill(
                "mutation_records", mutation_id=f"blind:{complex_id[:4]}{i}", part="blind", source="blind",
                pdb_id=complex_id[:4], complex_id=complex_id, molecule_type="protein", n_changes=1,
                ddg_kcal_mol=round(float(generator.normal(0.8, 1.0)), 2), in_interface=i % 2 == 0,
                wild_type_records="1abc:A:B" if complex_id < "3" else "",
            ))  # fmt: skip
    return rows


def prediction(sample: ModuleType, record: dict[str, Any], value: float | None, **changed: Any) -> dict[str, Any]:
    """A row of `mutation_predictions` of the experiment `zero_shot`: the ensemble, wild types in training."""
    values: dict[str, Any] = {
        "experiment": "zero_shot", "kind": "zero_shot", "seed": 2024, "fold": -1, "training": "all",
        "weights": "no language model",
    }  # fmt: skip
    values |= {"part": record["part"], "mutation_id": record["mutation_id"], "predicted_ddg_kcal_mol": value}
    values |= {"measured_ddg_kcal_mol": record["ddg_kcal_mol"], **changed}
    return sample.fill("mutation_predictions", **values)


@cache
def _plain(root: Path) -> Evaluate:
    return load_config(root / "config.yaml").evaluate


def settings(root: Path, **changed: Any) -> Evaluate:
    """The settings of config.yaml with few bootstrap samples."""
    return _plain(root).model_copy(update={"bootstrap_samples": 200, "seeds": [2024], **changed})


def evaluated(
    sample: ModuleType, folder: Path, records: Rows, predictions: Rows, how: Evaluate,
    experiments: dict[str, MutationExperiment] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Write the two tables below `folder`, evaluate them and read the table `mutation_metrics`."""
    sample.put(folder / "records.parquet", "mutation_records", records)
    paths = []
    for name in sorted({row["experiment"] for row in predictions}):
        path = folder / name / "predictions.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample.put(path, "mutation_predictions", [row for row in predictions if row["experiment"] == name])
        paths.append(path)
    evaluate_mutations(
        paths, records=folder / "records.parquet", experiments=experiments or {"zero_shot": ZERO_SHOT}, settings=how,
        out=folder / "metrics.parquet",
    )  # fmt: skip
    return read_table(folder / "metrics.parquet", "mutation_metrics")


def one(metrics: pd.DataFrame, **wanted: str) -> dict[str, Any]:
    """The single row of the metrics with these values; of the blind test, wild types in training, where not said."""
    wanted = {"experiment": "zero_shot", "training": "all", "subset": "blind", **wanted}
    for column, value in wanted.items():
        metrics = metrics[metrics[column] == value]
    assert len(metrics) == 1, (wanted, len(metrics))
    return {str(key): value for key, value in metrics.iloc[0].to_dict().items()}
