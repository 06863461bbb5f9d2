"""The report's part on pre-training: learning curves, and held-out pairs beside chance and trivial predictors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from copra.errors import InputError
from copra.evaluate.figures import COLOURS, PALE, canvas, data_uri, plain
from copra.evaluate.tables import format_value, weights_notice
from copra.provenance.results import Run

TASKS = {"find_rna": "RNA of a protein", "find_protein": "protein of an RNA", "distance": "distances"}
CONDITIONS = {
    "as_trained": "as trained", "apart": "molecules apart", "unmasked": "not masked", "masked": "masked",
    "unmasked_near": "not masked, below 7.75 Å", "masked_near": "masked, below 7.75 Å",
}  # fmt: skip
METRICS = {
    "top1": "first", "top5": "among the first five", "mrr": "mean reciprocal place",
    "mae_angstrom": "error (Å)", "bin_accuracy": "right bin",
}  # fmt: skip
PREDICTORS = {
    "model": "model", "chance": "chance", "length": "length", "partner_size": "size of the partner's interface",
    "residue_types": "residue types", "backbone": "backbone atoms",
}  # fmt: skip
CURVES = (
    (("training_loss", "training loss"), ("validation_loss", "loss on held-out clusters")),
    (("validation_top1", "partner found in the batch"), ("validation_bin", "right distance bin")),
)


def pretraining_part(run: Run) -> dict[str, Any]:
    """The values of the page's part on pre-training: `pretraining`, one item per recipe, empty without results."""
    table = run.table("pretraining")
    items = []
    for recipe, part in table.groupby("recipe", sort=True):
        curves = learning_curves(run.results / "pretrain" / str(recipe), sorted(set(part["scope"])))
        used = [
            (name, _rows(part[part["task"].isin(tasks)], shown))
            for name, tasks, shown in (
                ("Does it find the partner?", ("find_rna", "find_protein"), ("chance", "length", "partner_size")),
                ("Does it know the distances?", ("distance",), ("chance", "residue_types", "backbone")),
            )
        ]
        items.append(
            {
                "recipe": str(recipe),
                "architecture": ", ".join(sorted(set(part["architecture"]))),
                "notice": weights_notice(part["weights"]),
                "picture": draw_curves(curves) if curves else "",
                "tables": [{"caption": name, **rows} for name, rows in used if rows["rows"]],
            }
        )
    return {"pretraining": items}


def _rows(part: pd.DataFrame, others: tuple[str, ...]) -> dict[str, Any]:
    """Columns and rows of one table: what was asked, the model, and each of the `others` beside it."""
    predictors = ("model", *others)
    rows = []
    order = {name: f"{i:02}" for i, name in enumerate((*TASKS, *METRICS, *CONDITIONS))}
    keys = ["task", "metric", "condition", "scope"]
    ordered = part.sort_values(keys, key=lambda column: column.map(lambda name: order.get(name, name)))
    for (task, metric, condition, scope), of_one in ordered.groupby(keys, sort=False):
        by_name = {row["predictor"]: row for row in of_one.to_dict("records")}
        if "model" not in by_name:
            continue
        cells = [_cell(by_name.get(name)) for name in predictors]
        model = by_name["model"]
        count = f"{model['n_pairs']} in {model['n_clusters']}"
        if pd.notna(model["n_candidates"]):
            count += f", 1 of {model['n_candidates']:.0f}"
        question = f"{TASKS[str(task)]}, {CONDITIONS[str(condition)]}"
        rows.append((question, METRICS[str(metric)], scope, *cells, count))
    columns = ("question", "metric", "scope", *(PREDICTORS[name] for name in predictors), "pairs in clusters")
    return {"columns": columns, "rows": rows}


def _cell(row: dict[Any, Any] | None) -> str:
    return "–" if row is None else format_value(row["value"], row["ci_low"], row["ci_high"], 2)


def learning_curves(folder: Path, scopes: list[str]) -> dict[str, list[dict[str, float]]]:
    """Of each scope that has any the lines of its metrics.jsonl; raises InputError where one is no JSON."""
    found = {}
    for scope in scopes:
        path = folder / scope / "metrics.jsonl"
        if not path.is_file():
            continue
        try:
            found[scope] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise InputError(f"{path}: a line is no JSON: {error}") from error
    return {scope: lines for scope, lines in found.items() if lines}


def draw_curves(curves: dict[str, list[dict[str, float]]]) -> str:
    """Losses (left) and how often the model was right (right) by epoch, a line for each scope. A data URI."""
    with canvas(7.6, 3.2) as (figure, buffer):
        axes: list[Axes] = list(figure.subplots(1, 2))
        for axis, names in zip(axes, CURVES, strict=True):
            for colour, (key, label) in zip(COLOURS, names, strict=False):
                _draw(axis, curves, key, label, colour)
            axis.set(xlabel="epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.grid(axis="y", color=PALE, lw=0.6)
        axes[0].set(ylabel="loss")
        axes[1].set(ylabel="fraction", ylim=(0, None))
        for axis in axes:
            if axis.get_legend_handles_labels()[0]:
                axis.legend()
    return data_uri(buffer)


def _draw(axis: Axes, curves: dict[str, list[dict[str, float]]], key: str, label: str, colour: str) -> None:
    told = False
    for lines in curves.values():
        points = [(line["epoch"], line[key]) for line in lines if key in line]
        if points:
            epochs, values = zip(*points, strict=True)
            axis.plot(epochs, values, color=colour, lw=1.6, alpha=0.85, label=None if told else plain(label))
            told = True
