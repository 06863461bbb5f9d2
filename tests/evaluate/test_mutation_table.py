from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mutation_rows import MEAN, ZERO_SHOT, Rows, blind_records, evaluated, one, prediction, settings

from copra.config_mutation import MutationExperiment
from copra.evaluate.mutation_table import write_mutation_table
from copra.evaluate.published import read_published
from copra.evaluate.report import report
from copra.tables import read_table

ORDER = ["foldx_ddg", "pretrained_zero_shot", "mean_ddg", "absent"]
EXPERIMENTS: dict[str, MutationExperiment] = {
    "foldx_ddg": MEAN, "pretrained_zero_shot": ZERO_SHOT, "mean_ddg": MEAN, "absent": MEAN,
}  # fmt: skip
CAUSE = "skipped: no foldx.binary | <b>set</b>"


def all_predictions(sample: ModuleType, records: Rows) -> Rows:
    generator = np.random.default_rng(4)
    rows = []
    for r in records:
        random = {"experiment": "pretrained_zero_shot", "weights": "esm2_650M random:0", "architecture": "official"}
        for training, skill in (("all", 0.6), ("unseen", 0.0)):
            value = skill * r["ddg_kcal_mol"] + float(generator.normal(0, 0.3))
            back = {"predicted_reverse_ddg_kcal_mol": 0.1 - value}
            rows.append(prediction(sample, r, value, training=training, **random, **back))
            for fold in range(3):
                shift = 0.2 * fold * float(generator.normal())
                rows.append(prediction(sample, r, value + shift, training=training, fold=fold, **random))
        rows.append(prediction(sample, r, None, experiment="foldx_ddg", kind="foldx", failure=CAUSE))
        rows.append(prediction(sample, r, 0.9, experiment="mean_ddg", kind="mean"))
    return rows


@pytest.fixture(scope="module")
def folder(sample: ModuleType, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder whose mutations are evaluated."""
    results = tmp_path_factory.mktemp("table2") / "results"
    records = blind_records(sample)
    evaluated(
        sample, results / "mutations", records, all_predictions(sample, records), settings(root), EXPERIMENTS
    )  # fmt: skip
    (results / "run.json").write_text(json.dumps({"git_commit": "0123456789abcdef+changes", "machine": "two cores"}))
    return results


@pytest.fixture(scope="module")
def write(folder: Path, root: Path) -> Callable[..., Path]:
    """Writes the pages with other settings; returns their folder."""

    def written(published: Path = root / "resources/curation/paper_results.tsv", **changed: Any) -> Path:
        place = folder / "mutations"
        pages = folder / "table2"
        pages.mkdir(exist_ok=True)
        write_mutation_table(
            place / "metrics.parquet", records=place / "records.parquet",
            predictions=sorted(place.glob("*/predictions.parquet")), experiments=ORDER,
            settings=settings(root, **changed), published=published, config=folder / "run.json",
            markdown=pages / "table2.md", tsv=pages / "table2.tsv", html=pages / "table2.html",
        )  # fmt: skip
        return pages

    return written


@pytest.fixture(scope="module")
def texts(write: Callable[..., Path]) -> dict[str, str]:
    pages = write(title="A title", notice="A <notice>")
    return {kind: (pages / f"table2.{kind}").read_text() for kind in ("md", "tsv", "html")}


@pytest.fixture(scope="module")
def metrics(folder: Path) -> pd.DataFrame:
    return read_table(folder / "mutations/metrics.parquet", "mutation_metrics")


def line_of(markdown: str, caption: str, experiment: str) -> list[str]:
    """The cells of an experiment's row in the first grid after a caption."""
    lines = markdown[markdown.index(caption) :].splitlines()
    row = next(line for line in lines if f"[{experiment}](" in line)
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def shown(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def test_the_pages_begin_with_title_notices_and_what_counts(texts: dict[str, str]) -> None:
    head = "# A title: Table 2: effects of mutations (language models with random weights)\n\n> **A &lt;notice>**\n\n"
    assert texts["md"].startswith(head)
    for kind in ("md", "html"):
        told = " ".join(texts[kind].split())
        assert "16 mutations in 5 complexes, of which 3 have at least 3 mutations and count per complex; 2 have" in told
        assert "2 of 4 rows have numbers; failed: absent; skipped: foldx_ddg." in told
        assert "No pre-trained language model was used" in told
        assert "positive: the mutant binds more weakly" in told


def test_a_number_stands_beside_its_interval_and_its_band_in_both_ways_of_training(
    texts: dict[str, str], metrics: pd.DataFrame
) -> None:
    cells = line_of(texts["md"], "### PCC and SCC: mean over complexes", "pretrained_zero_shot")
    for training, place in (("all", 2), ("unseen", 4)):
        row = one(metrics, experiment="pretrained_zero_shot", training=training, aggregate="per_complex", metric="pcc")
        assert cells[place] == f"{shown(row['value'])} [{shown(row['ci_low'])}, {shown(row['ci_high'])}]"
        assert cells[place + 1] == f"{shown(row['null_low'])} to {shown(row['null_high'])}"
        assert f"random {cells[place + 1]}" in texts["html"]
    assert cells[0] == "CoPRA (zero-shot)"
    assert cells[-2] == "13 in 3"


def test_what_has_no_number_says_why(texts: dict[str, str]) -> None:
    for caption in ("### PCC and SCC: mean over complexes", "### RMSE and MAE, kcal/mol: all mutations together"):
        skipped = line_of(texts["md"], caption, "foldx_ddg")
        assert set(skipped[2:-1]) == {"–"}
        assert skipped[-1] == r"skipped: no foldx.binary \| &lt;b>set&lt;/b>"
        assert line_of(texts["md"], caption, "absent")[-1] == "failed: no predictions"
    assert "<b>set</b>" not in texts["html"]


def test_the_published_score_stands_beside_its_band_and_the_papers_number(
    texts: dict[str, str], metrics: pd.DataFrame
) -> None:
    lines = texts["md"][texts["md"].index("## The published score") :].splitlines()
    heading = next(line for line in lines if line.startswith("| row"))
    names = [cell.strip() for cell in re.split(r"(?<!\\)\|", heading)[1:-1]]
    cells = line_of(texts["md"], "## The published score", "pretrained_zero_shot")
    found = dict(zip(names, cells, strict=True))
    row = one(metrics, experiment="pretrained_zero_shot", aggregate="per_complex_absolute", metric="pcc")
    assert found[r"mean \|PCC\|"].startswith(shown(row["value"]))
    assert found[r"random \|PCC\|"] == f"{shown(row['null_low'])} to {shown(row['null_high'])}"
    paper = [found[f"paper {name}"] for name in ("RMSE", "MAE", "PCC", "SCC")]
    assert paper == ["0.994", "0.737", "0.314", "0.411"]
    assert "Rows of the paper that are not in this run: DeepNAP, mCSM, CoPRA." in texts["md"]
    # where the wild types were not in training, the score without sign is not shown at all
    other = one(
        metrics, experiment="pretrained_zero_shot", training="unseen", aggregate="per_complex_absolute", metric="pcc"
    )
    assert f"{shown(other['value'])} [{shown(other['ci_low'])}" not in texts["md"]


def test_without_comparison_no_number_of_the_paper_is_shown(
    write: Callable[..., Path], folder: Path, root: Path, texts: dict[str, str], tmp_path: Path
) -> None:
    bare = tmp_path / "paper.tsv"
    lines = (root / "resources/curation/paper_results.tsv").read_text().splitlines()
    bare.write_text("\n".join(line for line in lines if not line.startswith("table2")) + "\n")
    for text in ((write(published=bare) / "table2.md").read_text(), without_comparison(write, folder)):
        assert "paper PCC" not in text
        assert "0.994" not in text
        assert "## The published score" in text
    assert "paper PCC" in texts["md"]


def without_comparison(write: Callable[..., Path], folder: Path) -> str:
    pages = write(compare_with_paper=False)
    tsv = pd.read_csv(folder / "table2/table2.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert set(tsv["paper_value"]) == {""}
    assert "CoPRA (zero-shot)" in set(tsv["row"])
    return (pages / "table2.md").read_text()


def test_every_row_leads_to_its_predictions_and_names_commit_and_weights(
    texts: dict[str, str], folder: Path, write: Callable[..., Path]
) -> None:
    pages = write()
    for kind, pattern in (("md", r"\]\((\.\./[^)]*)\)"), ("html", r'href="(\.\./[^"]*)"')):
        links = set(re.findall(pattern, texts[kind]))
        assert links == {f"../mutations/{name}/predictions.parquet" for name in ORDER}
        assert all((pages / link).is_file() for link in links if "absent" not in link)
    cells = line_of(texts["md"], "## The rows", "pretrained_zero_shot")
    assert cells[2:5] == ["zero_shot", "official", "esm2_650M random:0"]
    assert cells[-1] == "0123456789+changes"


def test_the_tsv_holds_every_row_of_the_metrics(texts: dict[str, str], metrics: pd.DataFrame, folder: Path) -> None:
    path = folder / "all.tsv"
    path.write_text(texts["tsv"])
    tsv = pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str)
    assert len(tsv) == len(metrics)
    assert list(dict.fromkeys(tsv["experiment"])) == ORDER
    assert set(tsv["commit"]) == {"0123456789abcdef+changes"}
    at = (tsv["experiment"] == "pretrained_zero_shot") & (tsv["subset"] == "blind") & (tsv["metric"] == "pcc")
    paper = tsv[at & (tsv["paper_value"] != "")]
    assert list(paper["aggregate"] + paper["training"] + paper["paper_value"]) == ["per_complex_absoluteall0.314"]
    told = one(metrics, experiment="pretrained_zero_shot", aggregate="pooled", metric="pcc")
    row = tsv[at & (tsv["aggregate"] == "pooled") & (tsv["training"] == "all")].iloc[0]
    for column in ("value", "ci_low", "null_high", "models_low"):
        assert float(row[column]) == pytest.approx(told[column], rel=1e-5)


def test_the_page_is_alone_and_has_its_pictures(texts: dict[str, str]) -> None:
    assert not re.search(r'(?:src|href)="(?!data:|\.\./|#)', texts["html"])
    assert texts["html"].count("data:image/svg+xml;base64,") == 2
    assert "A &lt;notice&gt;" in texts["html"]
    assert texts["html"].count('class="sortable"') >= 8


def test_the_same_input_gives_the_same_bytes(write: Callable[..., Path]) -> None:
    first, second = (
        [(write() / f"table2.{kind}").read_bytes() for kind in ("md", "tsv", "html")] for _ in range(2)
    )  # fmt: skip
    assert first == second


def test_the_papers_file_names_rows_that_are_ours(root: Path) -> None:
    published = read_published(root / "resources/curation/paper_results.tsv")
    assert published.row("table2", "pretrained_fine_tuned") == "CoPRA"


def test_the_report_shows_table_2_where_it_was_evaluated_and_names_it_as_missing_where_not(
    sample: ModuleType, folder: Path, tmp_path: Path
) -> None:
    run = sample.write_results(tmp_path)
    page = tmp_path / "results/report/report.html"
    report(run.parent, config=run, tables=["table2"], out=page)
    assert "There are no results yet." in page.read_text()
    shutil.copytree(folder / "mutations", run.parent / "mutations")
    report(run.parent, config=run, tables=["table2"], out=page)
    text = page.read_text()
    assert '<h2 id="table2">Table 2: effects of mutations (language models with random weights)</h2>' in text
    assert 'href="../mutations/pretrained_zero_shot/predictions.parquet"' in text
