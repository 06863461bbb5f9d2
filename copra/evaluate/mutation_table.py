"""Table 2 as Markdown, TSV and a self-contained HTML page; copra.evaluate.report shows the same parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from copra.config_evaluate import Evaluate
from copra.evaluate.grids import escape, section_as_markdown
from copra.evaluate.html import render
from copra.evaluate.mutation_figures import mutation_scatter, null_bands, panel_words
from copra.evaluate.mutation_metrics import PER_COMPLEX, POOLED
from copra.evaluate.mutation_results import TABLE2, TRAINING_NAMES, MutationResults
from copra.evaluate.mutation_sections import mutation_preface, mutation_sections
from copra.evaluate.mutation_sets import BLIND, SUBSETS, gather, mutation_subsets, read_mutation_predictions
from copra.evaluate.mutation_sets import read_mutation_records as read_records
from copra.evaluate.published import Published, read_published
from copra.evaluate.tables import folder_from
from copra.evaluate.wording import METRIC_NAMES, weights_notice
from copra.files import replacing
from copra.provenance.results import read_json
from copra.tables import read_table

TEMPLATE = Path(__file__).with_name("mutation_page.html.j2")
TSV_COLUMNS = [
    "row", "experiment", "kind", "training", "subset", "aggregate", "metric", "value", "ci_low", "ci_high",
    "null_low", "null_high", "models_low", "models_high", "n_models", "paper_value", "paper_cell", "n_mutations",
    "n_complexes", "weights", "architecture", "status", "note", "predictions", "commit",
]  # fmt: skip
BANDS_CAPTION = (
    "PCC on the blind test with its interval. Grey: what random predictions score. A number on the grey is no evidence "
    "of skill; on the right, where signs are taken away, the grey begins far above 0."
)
SCATTER_CAPTION = (
    "Predicted against measured ddG on the blind test, coloured by complex, its number of mutations in brackets; above "
    "each panel whether the wild types were in training. On the grey line the prediction is right; a dot at the "
    "edge lies beyond it. Dots of one colour should rise to the right."
)


def write_mutation_table(
    metrics: Path, *, records: Path, predictions: list[Path], experiments: list[str], settings: Evaluate,
    published: Path, config: Path, markdown: Path, tsv: Path, html: Path,
) -> None:  # fmt: skip
    """Write Table 2: what a reader needs as Markdown and as an HTML page, every number as TSV, one a line.

    `metrics` is the table `mutation_metrics` of the table `mutation_records` `records` and the tables
    `mutation_predictions` `predictions`; `experiments` are the rows in order; `published` is the paper's numbers and
    `config` the run's run.json, whose folder holds the predictions that every row leads to. ddG, RMSE, MAE and bias
    are in kcal/mol. Raises InputError for a file that is not what its table says.
    """
    results = read_mutation_results(
        metrics, records=records, experiments=experiments, settings=settings,
        published=read_published(published), run=read_json(config), folder=folder_from(markdown, config.parent),
    )  # fmt: skip
    said = read_mutation_predictions(predictions, results.records)
    with replacing(markdown) as temporary:
        temporary.write_text(as_markdown(results), encoding="utf-8")
    with replacing(tsv) as temporary:
        long_table(results).to_csv(temporary, sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    page = render(
        TEMPLATE, title=settings.title, notices=_notices(results), confidence=settings.confidence,
        item=mutation_item(results, said), facts=_facts(results),
        commit=results.commit, machine=results.machine,
    )  # fmt: skip
    with replacing(html) as temporary:
        temporary.write_text(page, encoding="utf-8")


def read_mutation_results(
    metrics: Path, *, records: Path, experiments: list[str], settings: Evaluate, published: Published,
    run: dict[str, Any], folder: str,
) -> MutationResults:  # fmt: skip
    """Read the tables of Table 2; `run` is the content of run.json.

    The paper's numbers are left out where the settings say `compare_with_paper: false`; its names for the rows stay.
    Experiments that are not asked for but have metrics come last.
    """
    frame = read_table(metrics, "mutation_metrics")
    order = [*experiments, *sorted(set(frame["experiment"]) - set(experiments))]
    return MutationResults(
        metrics=frame, records=read_records(records), order=order, settings=settings, folder=folder,
        published=published if settings.compare_with_paper else published.without_numbers(),
        commit=str(run.get("git_commit") or "unknown"), machine=str(run.get("machine") or "unknown"),
    )  # fmt: skip


def as_markdown(results: MutationResults) -> str:
    """The Markdown page: title, notices, how it was measured, then every part."""
    lines = [f"# {escape(results.settings.title)}: {results.headline}", ""]
    for notice in _notices(results):
        lines += [f"> **{escape(notice)}**", ""]
    for text in mutation_preface(results):
        lines += [escape(text), ""]
    for section in mutation_sections(results):
        lines += section_as_markdown(section)
    return "\n".join(lines).rstrip() + "\n"


def _notices(results: MutationResults) -> list[str]:
    return [text for text in (results.settings.notice, weights_notice(results.metrics["weights"])) if text]


def _facts(results: MutationResults) -> list[tuple[str, str]]:
    records = results.records
    blind = records[records["part"] == BLIND]
    told = [
        (len(blind), "blind mutations"), (blind["complex_id"].nunique(), "complexes of them"),
        (int((records["part"] == "cv").sum()), "cross-validated mutations"),
        (int((records["part"] == "extra").sum()), "further mutations"), (len(results.order), "rows"),
    ]  # fmt: skip
    return [(f"{number:,}", what) for number, what in told]


def mutation_item(results: MutationResults, said: pd.DataFrame) -> dict[str, Any]:
    """Table 2 as one item of a page's results; `said` are tables `mutation_predictions`."""
    blocks: list[dict[str, Any]] = [{"section": part, "pictures": []} for part in mutation_sections(results)]
    if BLIND in results.subsets:
        bands = {"uri": null_bands(results, BLIND), "alt": "PCC of every experiment beside random predictions"}
        scatter = {"uri": _scatter(results, said), "alt": "Predicted against measured ddG of every experiment"}
        blocks[0]["pictures"] = [scatter | {"caption": SCATTER_CAPTION}]
        blocks.insert(0, {"section": None, "pictures": [bands | {"caption": BANDS_CAPTION}]})
    return {"name": TABLE2, "headline": results.headline, "texts": mutation_preface(results), "blocks": blocks}


def _scatter(results: MutationResults, said: pd.DataFrame) -> str:
    """The blind test's predictions: without the wild types in training where an experiment has them so."""
    mutations = mutation_subsets(results.records)[BLIND]
    parts, words = [], {}
    for name in results.order:
        of_one = said[said["experiment"] == name]
        for training in reversed(results.trainings(BLIND)):
            part = of_one[of_one["training"] == training]
            guess = gather(part, str(part["kind"].iloc[0]), mutations) if len(part) else None
            if guess is not None and len(guess.inside):
                shown = mutations.iloc[guess.inside][["mutation_id", "complex_id"]]
                parts.append(shown.assign(
                    experiment=name, predicted_ddg_kcal_mol=np.mean(guess.values, axis=0),
                    measured_ddg_kcal_mol=mutations["ddg_kcal_mol"].to_numpy()[guess.inside],
                ))  # fmt: skip
                told = [results.find(BLIND, training, a, "pcc").get(name) for a in (PER_COMPLEX, POOLED)]
                words[name] = f"{TRAINING_NAMES[training]}\n{panel_words(*told)}"
                break
    return mutation_scatter(pd.concat(parts, ignore_index=True), words) if parts else ""


def long_table(results: MutationResults) -> pd.DataFrame:
    """Every row of the metrics in reading order, with the paper's number, the way to the predictions, the commit."""
    frame = results.metrics.copy()
    keys = frame[["experiment", "training", "subset", "aggregate", "metric"]].itertuples(index=False, name=None)
    cells = [
        results.published.find(TABLE2, experiment, subset, aggregate, metric) if training == "all" else None
        for experiment, training, subset, aggregate, metric in keys
    ]
    places = {name: i for i, name in enumerate(results.order)}
    metrics = {name: i for i, name in enumerate(METRIC_NAMES)}
    frame = frame.assign(
        row=[results.published.row(TABLE2, name) for name in frame["experiment"]],
        paper_value=[cell.value if cell else "" for cell in cells],
        paper_cell=[cell.cell if cell else "" for cell in cells],
        predictions=[results.link(name) for name in frame["experiment"]],
        commit=results.commit,
        first=[SUBSETS.index(name) for name in frame["subset"]],
        place=[places[name] for name in frame["experiment"]],
        last=[metrics.get(name, len(metrics)) for name in frame["metric"]],
    )
    order = ["first", "aggregate", "place", "training", "last", "metric"]
    return frame.sort_values(order, kind="stable", ignore_index=True)[TSV_COLUMNS]
