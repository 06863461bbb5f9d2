"""The results table as Markdown and TSV."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.config import Evaluate
from copra.evaluate.scores import METRICS
from copra.files import replacing
from copra.tables import read_table

UNITS = {"rmse": "kcal/mol", "mae": "kcal/mol", "pcc": "", "scc": ""}
TSV_COLUMNS = [
    "experiment", "protocol", "subset", "aggregate", "metric", "value", "ci_low", "ci_high", "n_records", "n_seeds",
    "weights", "architecture", "status", "note",
]  # fmt: skip


def table1(metrics: Path, *, settings: Evaluate, markdown: Path, tsv: Path) -> None:
    """Write the experiments of `settings.table1`, in that order: all numbers as TSV, the main ones as Markdown."""
    table = read_table(metrics, "metrics")
    shown = table[table["experiment"].isin(settings.table1)].copy()
    shown["position"] = shown["experiment"].map({name: i for i, name in enumerate(settings.table1)})
    shown["metric"] = pd.Categorical(shown["metric"], list(METRICS))
    keys = ["subset", "aggregate", "position", "metric"]
    shown = shown.sort_values(keys, ascending=[True, False, True, True], ignore_index=True)
    with replacing(tsv) as temporary:
        shown[TSV_COLUMNS].to_csv(temporary, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    with replacing(markdown) as temporary:
        temporary.write_text(as_markdown(shown, settings))


def has_trained_weights(weights: str) -> bool:
    """Whether a `weights` text (`esm2_650M sha256:...; rinalmo_giga sha256:...`) names a released checkpoint."""
    return "sha256:" in weights


def weights_notice(weights: pd.Series) -> str:
    """The sentence that says which language-model weights stand behind the results."""
    trained = sorted({text for text in weights if has_trained_weights(text)})
    if trained:
        return f"Pre-trained language model weights: {'; '.join(trained)}."
    if any("random:" in text for text in weights):
        return "No pre-trained language model was used: where a language model stands, its weights are random."
    return "No pre-trained language model was used."


def format_value(value: float | None, low: float | None, high: float | None, digits: int) -> str:
    """`0.58 [0.47, 0.67]`; a dash for what is not defined. A proper minus sign, as in print."""
    if value is None or pd.isna(value):
        return "–"
    text = f"{value:.{digits}f}"
    if low is not None and high is not None and not pd.isna(low) and not pd.isna(high):
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text.replace("-", "−")


def as_markdown(shown: pd.DataFrame, settings: Evaluate) -> str:
    """The Markdown page: title, notices, one table per subset and aggregate, failures."""
    lines = [f"# {settings.title}", ""]
    if settings.notice:
        lines += [f"> **{settings.notice}**", ""]
    lines += [f"> **{weights_notice(shown['weights'])}**", ""]
    lines += [
        f"dG in kcal/mol, negative binds. {settings.confidence:.0%} intervals from {settings.bootstrap_samples} "
        "bootstrap samples of whole clusters. Correlations keep their sign.",
        "",
    ]
    names = {"pooled": "all held-out records together", "fold_mean": "mean over folds"}
    for (subset, aggregate), part in shown.groupby(["subset", "aggregate"], sort=False):
        lines += [f"## {subset}: {names[str(aggregate)]}", ""]
        lines += ["| experiment | RMSE | MAE | PCC | SCC | n | seeds | protocol | architecture | weights | status |"]
        lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
        lines += [_markdown_row(group) for _, group in part.groupby("position", sort=True)]
        lines.append("")
    failed = shown[shown["note"] != ""].drop_duplicates(["experiment", "note"])
    lines += [f"- {_cell(row['experiment'])}: {row['status']}: {_cell(row['note'])}" for _, row in failed.iterrows()]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_row(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    cells = [first["experiment"]]
    numbers = group.sort_values("metric")[["value", "ci_low", "ci_high"]].to_numpy(dtype=float)  # METRICS' order
    cells += [format_value(value, low, high, 2) for value, low, high in numbers.tolist()]
    cells += [str(first["n_records"]), str(first["n_seeds"]), first["protocol"] or "–"]
    cells += [first["architecture"] or "–", first["weights"] or "–", first["status"]]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
