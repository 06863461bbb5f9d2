"""What limits a number of the results table: the noise of the labels, and what train and test share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from copra.decisions import rows_as_dicts
from copra.pra310.noise import EVERY
from copra.provenance.results import Run


def noise_ceiling_pcc(run: Run) -> float | None:
    """The Pearson correlation that a perfect model would reach: as configured, else from the sources' disagreement.

    None where the sources share too few complexes.
    """
    if run.config.evaluate.noise_ceiling_pcc is not None:
        return run.config.evaluate.noise_ceiling_pcc
    noise = run.table("label_noise")
    every = noise[(noise["source"] == EVERY) & ~noise["copies_left_out"].astype(bool)]
    return float(every["ceiling_pcc"].iloc[0]) if len(every) else None


def trust(run: Run) -> dict[str, Any]:
    """Rows of the report's tables on label noise and leakage; empty lists where a run has none."""
    return {"noise_rows": _noise(run.table("label_noise")), "leakage_rows": _leakage(run.table("leakage"), run)}


def _noise(noise: pd.DataFrame) -> list[tuple[str, ...]]:
    rows = []
    for row in rows_as_dicts(noise):
        names = dict.fromkeys((row["source"], row["other_source"]))
        pair = ", ".join(names) + (", unequal values only" if row["copies_left_out"] else "")
        numbers = ("mean_difference", "sd_difference", "label_error_sd")
        told = [f"{row[f'{name}_kcal_mol']:.2f}" for name in numbers]
        rows.append((pair, str(row["n_complexes"]), *told, f"{row['ceiling_pcc']:.2f}"))
    return rows


def _leakage(leakage: pd.DataFrame, run: Run) -> list[tuple[str, ...]]:
    """One row per family: the worst fold for identities, the sum over folds for counts."""
    rows = []
    for family in sorted(set(leakage["family"])):
        part = leakage[leakage["family"] == family]
        shown = f"{family} (trained on)" if family == run.config.split.family else family
        highest = [part[f"{side}_identity_max"].max() for side in ("protein", "rna")]
        told = ["none" if pd.isna(value) else f"{value:.0%}" for value in highest]
        counts = (part["n_test_protein_70"].sum(), part["n_test_same_rna"].sum(), part["n_pri30k_same_entry"].sum())
        rows.append((shown, str(part["n_test"].sum()), *told, *(str(count) for count in counts)))
    return rows
