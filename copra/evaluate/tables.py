"""A results table as Markdown and TSV; copra.evaluate.report shows the same parts as HTML."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from copra.config_evaluate import Evaluate
from copra.evaluate.grids import escape, section_as_markdown
from copra.evaluate.published import read_published
from copra.evaluate.results import Results, read_results
from copra.evaluate.sections import preface, sections
from copra.evaluate.wording import METRIC_NAMES, UNITS, format_value, has_trained_weights, weights_notice
from copra.files import replacing
from copra.provenance.results import read_json

__all__ = ["UNITS", "as_markdown", "format_value", "has_trained_weights", "weights_notice", "write_table"]

TSV_COLUMNS = [
    "results_table", "split_family", "row", "experiment", "protocol", "subset", "aggregate", "metric", "value",
    "ci_low", "ci_high", "paper_value", "paper_cell", "n_records", "n_clusters", "n_seeds", "weights", "architecture",
    "status", "note", "predictions", "commit",
]  # fmt: skip


def write_table(
    metrics: Path, *, table: str, differences: Path, intervals: Path, settings: Evaluate, published: Path, config: Path,
    markdown: Path, tsv: Path, differences_tsv: Path,
) -> None:  # fmt: skip
    """Write the results table `table`: what a reader needs as Markdown, every number as TSV, one a line.

    `published` is the paper's numbers (resources/curation/paper_results.tsv), `config` the run's run.json, whose
    folder holds the predictions that every row leads to. Values keep their unit: RMSE, MAE, differences of them and
    widths in kcal/mol. Raises InputError for a file that is not what its table says.
    """
    results = read_results(
        metrics, name=table, differences=differences, intervals=intervals, settings=settings,
        published=read_published(published), run=read_json(config), folder=folder_from(markdown, config.parent),
    )  # fmt: skip
    with replacing(markdown) as temporary:
        temporary.write_text(as_markdown(results), encoding="utf-8")
    _write_tsv(pd.concat([_metrics_long(results), _intervals_long(results)], ignore_index=True), tsv)
    _write_tsv(_differences_long(results), differences_tsv)


def folder_from(page: Path, results: Path) -> str:
    """The results folder as a page's links name it, relative to the page."""
    return Path(os.path.relpath(results, page.parent)).as_posix()


def as_markdown(results: Results) -> str:
    """The Markdown page: title, notices, how it was measured, then every part."""
    settings = results.settings
    lines = [f"# {escape(settings.title)}: {results.headline}", ""]
    notices = [settings.notice, weights_notice(results.metrics["weights"])]
    for notice in [text for text in notices if text]:
        lines += [f"> **{escape(notice)}**", ""]
    for text in preface(results):
        lines += [escape(text), ""]
    for section in sections(results):
        lines += section_as_markdown(section)
    return "\n".join(lines).rstrip() + "\n"


def _metrics_long(results: Results) -> pd.DataFrame:
    frame = results.metrics.copy()
    cells = [
        results.published.find(results.name, row["experiment"], row["subset"], row["aggregate"], row["metric"])
        for row in frame.to_dict("records")
    ]
    frame["paper_value"] = [cell.value if cell else "" for cell in cells]
    frame["paper_cell"] = [cell.cell if cell else "" for cell in cells]
    return _ordered(frame, results)[TSV_COLUMNS]


def _intervals_long(results: Results) -> pd.DataFrame:
    """Coverage and width as two metrics, the method as the aggregate."""
    parts = []
    for metric, column in (("coverage", "coverage"), ("mean_width_kcal_mol", "mean_width_kcal_mol")):
        part = results.intervals.copy()
        shares = [f"{share:.10g}" for share in part["nominal_coverage"]]
        part["metric"] = [f"{metric}_at_{share}" for share in shares]
        part["aggregate"] = "conformal_" + part["method"]
        part["value"] = part[column]
        if metric != "coverage":
            part[["ci_low", "ci_high"]] = None
        told = {name: results.told(name) for name in set(part["experiment"])}
        for name in ("protocol", "weights", "architecture", "n_seeds"):
            part[name] = [told[experiment][name] for experiment in part["experiment"]]
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True).assign(paper_value="", paper_cell="")
    return _ordered(frame, results)[TSV_COLUMNS]


def _differences_long(results: Results) -> pd.DataFrame:
    frame = _ordered(results.differences, results)
    own = [name for name in results.differences.columns if name != "results_table"]
    return frame[["results_table", "row", *own, "predictions", "commit"]]


def _ordered(frame: pd.DataFrame, results: Results) -> pd.DataFrame:
    """The rows in the order of the configuration, with the paper's row, the way to the predictions and the commit."""
    places = {name: i for i, name in enumerate(results.order)}
    metrics = {name: f"{i}" for i, name in enumerate(METRIC_NAMES)}
    subsets = {"all": "0", "pra201": "1"}
    keyed = frame.assign(
        row=[results.published.row(results.name, name) for name in frame["experiment"]],
        predictions=[results.link(name) for name in frame["experiment"]],
        commit=results.commit,
        place=[places.get(name, len(places)) for name in frame["experiment"]],
        first=[subsets.get(name, f"2{name}") for name in frame["subset"]],
        last=[metrics.get(name, f"9{name}") for name in frame["metric"]],
    )
    between = [name for name in ("reference", "aggregate") if name in frame]
    return keyed.sort_values(["first", *between, "place", "last"], kind="stable", ignore_index=True)


def _write_tsv(frame: pd.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        frame.to_csv(temporary, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
