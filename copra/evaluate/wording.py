"""How numbers, weights and the names of tables and subsets are put into words; the same in every page."""

from __future__ import annotations

import re

import pandas as pd

TABLE_NAMES = {
    "table1": "Table 1: every model on the same folds",
    "table2": "Table 2: effects of mutations",
    "table3": "Table 3: one part after another taken away",
    "table4": "Table 4: what the model was pre-trained on",
    "figure3": "Figure 3: size of the language models",
    "controls": "Controls: trained on labels dealt anew",
    "families": "Other ways to split",
}
SUBSET_NAMES = {"all": "PRA310 (all records)", "pra201": "PRA201 (one protein and one RNA chain)"}
AGGREGATE_NAMES = {
    "fold_mean": "mean over folds, as the paper reports",
    "pooled": "all held-out records together",
    "ensemble": "mean prediction of all seeds, records together",
}
METRIC_NAMES = {"rmse": "RMSE", "mae": "MAE", "pcc": "PCC", "scc": "SCC"}
UNITS = {"rmse": "kcal/mol", "mae": "kcal/mol", "pcc": "", "scc": ""}


def has_trained_weights(weights: str) -> bool:
    """Whether a `weights` text (`esm2_650M sha256:...; rinalmo_giga sha256:...`) names a released checkpoint."""
    return "sha256:" in weights


def has_random_weights(weights: str) -> bool:
    """Whether a `weights` text names a language model that was never trained."""
    return "random:" in weights


def weights_notice(weights: pd.Series) -> str:
    """The sentence that says which language-model weights stand behind the results."""
    told = sorted({part.strip() for text in weights for part in re.split(r"[;|]", str(text))} - {""})
    trained = [part for part in told if has_trained_weights(part)]
    untrained = [part for part in told if has_random_weights(part)]
    if trained:
        also = f" Others are random, not trained: {'; '.join(untrained)}." if untrained else ""
        return f"Pre-trained language model weights: {'; '.join(trained)}.{also}"
    if untrained:
        return (
            "No pre-trained language model was used: where a language model stands, its weights are random "
            f"({'; '.join(untrained)})."
        )
    return "No pre-trained language model was used."


def format_value(value: float | None, low: float | None, high: float | None, digits: int) -> str:
    """`0.58 [0.47, 0.67]`; a dash for what is not defined. A proper minus sign, as in print."""
    if value is None or pd.isna(value):
        return "–"
    text = _rounded(value, digits)
    if low is not None and high is not None and not pd.isna(low) and not pd.isna(high):
        text += f" [{_rounded(low, digits)}, {_rounded(high, digits)}]"
    return text


def _rounded(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before a zero


def subset_name(subset: str) -> str:
    """What a reader sees for a subset of the metrics table."""
    known = {
        "protein_identity_below_30": "below 30 %", "protein_identity_30_to_70": "30 to 70 %",
        "protein_identity_70_or_more": "70 % or more", "same_rna_in_training": "same RNA in training",
        "external": "external records",
    }  # fmt: skip
    if subset.startswith("grade_"):
        return f"grade {subset.removeprefix('grade_')}"
    return SUBSET_NAMES.get(subset) or known.get(subset) or subset.replace("_", " ")


def count(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
