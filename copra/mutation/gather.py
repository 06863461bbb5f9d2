"""What the fine-tuned models of all folds say together."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from copra.mutation.parts import ALL_FOLDS, Said, mean_of, rows_of
from copra.tables import concat_tables, empty_table, read_table, write_table

UNTESTED = "skipped: every model learnt from a related complex"


def gather_mutations(predictions: list[Path], *, records: Path, out: Path) -> None:
    """Join the tables `mutation_predictions` of one experiment, and add the mean of its models as fold -1.

    A mutation of the cross-validated set has one model, of the fold that holds it out, and no mean. Every other one
    has a mean for each seed and way of training, over the models that were tested on it; where none was, it has no
    value and says so. `records` is the table `mutation_records`. Raises InputError for a table of another kind.
    """
    said = concat_tables(predictions, "mutation_predictions")
    if said.empty:
        write_table(empty_table("mutation_predictions"), out, "mutation_predictions")
        return
    table = read_table(records, "mutation_records").sort_values("mutation_id", ignore_index=True)
    others = table[table["part"] != "cv"].reset_index(drop=True)
    frames = [said]
    for seed, training in itertools.product(sorted(set(said["seed"])), sorted(set(said["training"]))):
        of_run = said[(said["seed"] == seed) & (said["training"] == training)]
        every = [_said(rows, others) for _, rows in of_run.groupby("fold", sort=True)]
        if every:
            mean = rows_of(others, mean_of(every, UNTESTED), seed=seed, fold=ALL_FOLDS, training=training)
            frames.append(mean.assign(experiment=said["experiment"].iloc[0], kind=said["kind"].iloc[0]))
    write_table(pd.concat(frames, ignore_index=True), out, "mutation_predictions")


def _said(rows: pd.DataFrame, table: pd.DataFrame) -> Said:
    """What one model says of the mutations of `table`, nan of those it was not tested on."""
    found = rows.set_index("mutation_id").reindex(table["mutation_id"])
    return Said(
        predicted=found["predicted_ddg_kcal_mol"].to_numpy(dtype=np.float64),
        reverse=found["predicted_reverse_ddg_kcal_mol"].to_numpy(dtype=np.float64),
        failure=found["failure"].fillna("").to_numpy(dtype=object),
        weights=str(rows["weights"].iloc[0]),
        architecture=str(rows["architecture"].iloc[0]),
    )
