"""The report's part on results: each results table with its pictures, controls and other split families."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.decisions import rows_as_dicts
from copra.errors import InputError
from copra.evaluate import forest, panels
from copra.evaluate.grids import Cell, Column, Grid, Section
from copra.evaluate.mutation_results import TABLE2
from copra.evaluate.mutation_sets import read_mutation_predictions
from copra.evaluate.mutation_table import mutation_item, read_mutation_results
from copra.evaluate.published import FILE, Published, read_published
from copra.evaluate.results import Results, number_cell, read_results, status_cell
from copra.evaluate.sections import preface, sections
from copra.evaluate.trust import noise_ceiling_pcc
from copra.evaluate.wording import METRIC_NAMES, SUBSET_NAMES, TABLE_NAMES, UNITS, format_value, weights_notice
from copra.provenance.results import Run
from copra.tables import concat_tables, read_table

FILES = ("metrics", "differences", "intervals")
RESIDUAL_MODELS = 3
FIGURES = {
    "forest": ("Numbers of every experiment with their intervals: {}",
               "Mean over folds, {}. An interval of the PCC that reaches 0 is no evidence of skill; intervals that "
               "overlap are no evidence of a difference. An arrow stands for a value beyond the scale."),
    "coverage": ("Coverage of the prediction intervals of every experiment",
                 "Share of held-out records inside their split-conformal interval, with the interval of that share."),
    "scatter": ("Predicted against measured dG of every experiment",
                "Predicted against measured dG, mean over seeds, coloured by the fold that was held out. On the grey "
                "line the prediction is right; a dot at the edge lies beyond it.{}"),
    "residuals": ("Residuals by cluster",
                  "Predicted less measured dG in the largest clusters of related proteins, records of each in "
                  "brackets; the stroke is the median. Right of 0: predicted too weak."),
    "curves": ("Learning curves of every neural experiment",
               "Loss by epoch: median and range over seeds and folds. The epoch with the lowest validation loss is "
               "kept.{}"),
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An image of the page with its two texts."""

    uri: str
    alt: str
    caption: str


def results_part(run: Run, tables: list[str], out: Path) -> dict[str, Any]:
    """The values of the page's part on results: `results`, one item per table of `tables`, and the weights' notice.

    `out` is the page, from which links to predictions start. A table that has not been evaluated is named as missing.
    """
    published, missing = _published(run)
    folder = _results_from(out, run)
    drawn: set[str] = set()
    items: list[dict[str, Any]] = []
    weights = [pd.Series(dtype=object)]
    for name in tables:
        if name == TABLE2 and (item := _mutations(run, published, folder)):
            items.append(item[0])
            weights.append(item[1])
            continue
        results = None if name == TABLE2 else _read(run, name, published, folder)
        if results is None:
            title = TABLE_NAMES.get(name, name)
            items.append({"name": name, "headline": title, "texts": ["There are no results yet."], "blocks": []})
            continue
        weights.append(results.metrics["weights"])
        blocks = _blocks(run, results, [experiment for experiment in results.order if experiment not in drawn])
        drawn |= set(results.order)
        items.append(
            {"name": name, "headline": results.headline, "texts": [*preface(results), *missing], "blocks": blocks}
        )
    return {
        "results": items,
        "weights_notice": weights_notice(pd.concat(weights)),
        "weights_named": sorted({str(text) for text in pd.concat(weights)} - {""}),
    }


def _results_from(out: Path, run: Run) -> str:
    """The results folder as links on the page `out` have it."""
    return Path(os.path.relpath(run.results, out.parent)).as_posix()


def _mutations(run: Run, published: Published, folder: str) -> tuple[dict[str, Any], pd.Series] | None:
    """Table 2 as an item of the page and its `weights`; None where it has not been evaluated."""
    place = run.results / "mutations"
    if not (place / "metrics.parquet").is_file():
        return None
    order = run.config.mutations.table2
    results = read_mutation_results(
        place / "metrics.parquet", records=place / "records.parquet", experiments=order,
        settings=run.config.evaluate, published=published, run=run.description, folder=folder,
    )  # fmt: skip
    paths = [path for name in results.order if (path := place / name / "predictions.parquet").is_file()]
    return mutation_item(results, read_mutation_predictions(paths, results.records)), results.metrics["weights"]


def _published(run: Run) -> tuple[Published, list[str]]:
    path = run.curation / FILE
    if path.is_file():
        return read_published(path), []
    return Published(()), [f"The paper's numbers ({FILE}) are not here, so no number of ours stands beside them."]


def _read(run: Run, name: str, published: Published, folder: str) -> Results | None:
    paths = {kind: run.results / "evaluate" / name / f"{kind}.parquet" for kind in FILES}
    if not all(path.is_file() for path in paths.values()):
        return None
    results = read_results(
        paths["metrics"], name=name, differences=paths["differences"], intervals=paths["intervals"],
        settings=run.config.evaluate, published=published, run=run.description, folder=folder,
    )  # fmt: skip
    return results if len(results.metrics) else None


def _blocks(run: Run, results: Results, undrawn: list[str]) -> list[dict[str, Any]]:
    """Sections and pictures in reading order; `undrawn` are the experiments that no earlier table has drawn."""
    parts = sections(results)
    ceiling = noise_ceiling_pcc(run)
    subset_of = {name: subset for subset, name in SUBSET_NAMES.items()}
    blocks: list[dict[str, Any]] = []
    for part in parts:
        pictures = []
        if part.title in subset_of:
            uri = forest.forest_plot(results, subset_of[part.title], ceiling)
            pictures.append(_picture("forest", uri, part.title))
        elif part.title.startswith("Coverage"):
            pictures.append(_picture("coverage", forest.coverage_plot(results), ""))
        blocks.append({"section": part, "pictures": pictures})
    drawn = _drawn(run, results, [name for name in undrawn if results.told(name)["status"] == "ok"])
    place = 1 + max((i for i, part in enumerate(parts) if part.title.split(":")[0] in subset_of), default=-1)
    blocks.insert(place, {"section": None, "pictures": drawn})
    return blocks


def _drawn(run: Run, results: Results, experiments: list[str]) -> list[Picture]:
    """The pictures that need predictions and histories; without those of experiments that have none."""
    said = mean_predictions(run.results, experiments)
    shown = [name for name in experiments if len(said) and (said["experiment"] == name).any()]
    values = results.values("all", "pooled")
    words = {name: _panel_words(name, values) for name in shown}
    folds = run.table("folds")
    models = [] if results.name == "controls" else residual_models(results, shown)
    curves = {name: lines for name in experiments if (lines := read_curves(run.results, name))}
    return [
        _picture("scatter", panels.scatter(said, words) if shown else "", _left_out(shown)),
        _picture("residuals", panels.residuals(said, folds, models) if models else "", ""),
        _picture("curves", panels.learning_curves(curves), _left_out(list(curves))),
    ]


def _picture(kind: str, uri: str, words: str) -> Picture:
    alt, caption = FIGURES[kind]
    return Picture(uri, alt.format(words), caption.format(words))


def _left_out(shown: list[str]) -> str:
    rest = shown[panels.MOST_PANELS :]
    return f" Not drawn, for want of room: {', '.join(rest)}." if rest else ""


def _panel_words(name: str, values: dict[tuple[str, str], dict[str, Any]]) -> str:
    told = {metric: values.get((name, metric), {}).get("value") for metric in ("pcc", "rmse")}
    return f"PCC {format_value(told['pcc'], None, None, 2)}, RMSE {format_value(told['rmse'], None, None, 2)}"


def residual_models(results: Results, shown: list[str]) -> list[str]:
    """The experiment with the lowest pooled RMSE (protocol nested where any is), then those to compare with."""
    values = results.values("all", "pooled")
    told = {name: values[name, "rmse"] for name in shown if (name, "rmse") in values}
    known = {name: row for name, row in told.items() if pd.notna(row["value"])}
    nested = {name: row for name, row in known.items() if row["protocol"] == "nested"} or known
    best = sorted(nested, key=lambda name: (nested[name]["value"], name))[:1]
    return list(dict.fromkeys([*best, *(n for n in results.settings.compare_with if n in shown)]))[:RESIDUAL_MODELS]


def mean_predictions(results: Path, experiments: list[str]) -> pd.DataFrame:
    """Held-out predictions of experiments, the mean over seeds: experiment, fold, record_id, measured, predicted."""
    paths = [path for name in experiments for path in _of_experiment(results, name, "predictions.parquet")]
    said = concat_tables(paths, "predictions")
    said = said[(said["part"] == "test") & np.isfinite(said["predicted_dg_kcal_mol"].astype(float))]
    keys = ["experiment", "fold", "record_id"]
    return said.groupby(keys, as_index=False)[["measured_dg_kcal_mol", "predicted_dg_kcal_mol"]].mean()


def _of_experiment(results: Path, experiment: str, name: str) -> list[Path]:
    return sorted((results / "train" / experiment).glob(f"seed_*/fold_*/{name}"))


def read_curves(results: Path, experiment: str) -> dict[str, list[tuple[panels.Values, panels.Values]]]:
    """Epochs and losses of every seed and fold of an experiment: `training_loss` and `validation_loss`.

    Raises InputError for a history.jsonl with a line that is no JSON object with an epoch.
    """
    curves: dict[str, list[tuple[panels.Values, panels.Values]]] = {}
    for path in _of_experiment(results, experiment, "history.jsonl"):
        try:
            lines = [dict(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
            for key in ("training_loss", "validation_loss"):
                points = [(float(line["epoch"]), float(line[key])) for line in lines if key in line]
                if points:
                    epochs, losses = np.array(points).T
                    curves.setdefault(key, []).append((epochs, losses))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: expected one JSON object with an epoch a line: {error}") from error
    return curves


def families_section(run: Run, out: Path) -> Section | None:
    """Results on the other split families beside those of the main one: PCC and RMSE of all records together.

    `out` is the page, from which links to predictions start. None where no other family has results.
    """
    folder = _results_from(out, run)
    settings, commit = run.config.evaluate, run.description.get("git_commit") or "unknown"
    found = _family_metrics(run)
    if not found:
        return None
    grids = []
    for metric in ("pcc", "rmse"):
        columns = [Column("experiment"), *(Column(name, True) for name, _, _ in found), Column("status")]
        rows = []
        for experiment in settings.by_family.experiments:
            row, told = [Cell(experiment)], []
            for name, place, table in found:
                part = rows_as_dicts(table[(table["experiment"] == experiment) & (table["metric"] == metric)])
                told += [{**item, "note": f"{name}: {item['note']}"} for item in part if item["status"] != "ok"]
                link = f"{folder}/{place}train/{experiment}/"
                hint = f"predictions of {experiment}, commit {commit}"
                row.append(number_cell(part[0] if part else None, link, hint))
            row.append(status_cell(told[0]) if told else Cell("", tag="ok"))
            rows.append(row)
        grids.append(Grid(METRIC_NAMES[metric] + (", kcal/mol" if UNITS[metric] else ""), columns, rows))
    text = (
        "The same experiments, trained and tested on other ways to split the same records, all held-out records "
        "together. What is lost with a stricter split may be what relatives in training gave."
    )
    return Section(TABLE_NAMES["families"], (text,), grids)


def _family_metrics(run: Run) -> list[tuple[str, str, pd.DataFrame]]:
    """(name, place below the results, pooled metrics of all records) of each split family; empty without others."""
    others = [(f"by_family/{name}/", name) for name in run.config.evaluate.by_family.families]
    found = []
    for place, name in others:
        path = run.results / place / "evaluate" / "families" / "metrics.parquet"
        if path.is_file():
            found.append((name, place, read_table(path, "metrics")))
    main = run.results / "evaluate" / "table1" / "metrics.parquet"
    if found and main.is_file():
        found.insert(0, (f"{run.config.split.family} (the tables above)", "", read_table(main, "metrics")))
    return [
        (name, place, table[(table["subset"] == "all") & (table["aggregate"] == "pooled")])
        for name, place, table in found
    ]
