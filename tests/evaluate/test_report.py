from __future__ import annotations

import base64
import html
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from copra.errors import InputError
from copra.evaluate import figures, forest, panels, results_report
from copra.evaluate.published import COLUMNS, Published
from copra.evaluate.report import report
from copra.evaluate.trust import noise_ceiling_pcc
from copra.provenance.audit import audit, audit_predictions
from copra.provenance.results import load_run
from copra.tables import empty_table, read_table, write_table


def finish(sample: ModuleType, folder: Path) -> Path:
    """Metrics, audit and report of a sample run; returns the path of the page."""
    results = folder / "results"
    run = load_run(results, results / "run.json")
    tables = list(run.config.evaluate.tables())
    for table in tables:
        sample.score_results(folder, table)
    for name, check in (("findings", audit), ("prediction_findings", audit_predictions)):
        findings = results / f"audit/{name}.parquet"
        check(results, config=results / "run.json", findings=findings, page=folder / "audit.html")
    report(results, config=results / "run.json", tables=tables, out=results / "report/report.html")
    return results / "report/report.html"


@pytest.fixture(scope="module")
def page(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    sample.write_results(folder, n=24, controls=("forest",))
    for seed, fold in ((1, 0), (1, 1), (2, 0)):
        lines = [{"epoch": e, "training_loss": 1 / e, "validation_loss": 0.5 + seed / 10} for e in (1, 2, 3)]
        path = folder / f"results/train/coformer/seed_{seed}/fold_{fold}/history.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    paper = folder / "curation/paper_results.tsv"
    cells = ("table1", "Their name", "coformer", "all", "fold_mean", "pcc", "0.432", "Table 1, row 1, PRA310 PCC")
    paper.write_text("\t".join(COLUMNS) + "\n" + "\t".join((*cells, "a <i>note</i>")) + "\n")
    return finish(sample, folder)


class Reader(HTMLParser):
    """Collects the tags, the addresses and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.scripts += tag == "script"
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    # two forests, coverage, dots, curves and residuals of table1; the same but curves and residuals of the controls;
    # funnels, labels, interfaces and folds
    assert len([a for a in reader.addresses if a.startswith("data:image/svg+xml;base64,")]) == 6 + 4 + 4
    assert all(a.startswith(("data:", "#", "../train/")) for a in reader.addresses)
    assert "@import" not in page.read_text()
    assert "url(" not in page.read_text()


def test_every_picture_is_an_svg_without_a_date(page: Path) -> None:
    for text in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page.read_text()):
        svg = base64.b64decode(text)
        assert ElementTree.fromstring(svg).tag.endswith("svg")
        assert b"dc:date" not in svg


def test_hostile_texts_are_escaped(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.scripts == 1  # our own
    assert "&lt;script&gt;x&lt;/script&gt;" in page.read_text()


def test_the_page_tells_what_a_reader_must_know(page: Path) -> None:
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text()))
    (reason,) = read_table(page.parents[1] / "parsed/prbabv2/rejects.parquet", "rejects")["reason"]
    for words in (
        "No pre-trained language model was used", "Missing sources: prdbv3", "mutant construct", reason, "9bad",
        "random:0", "abc123", "one number per fold", "found 24, expected 310", "contact_cutoff_angstrom: 5.0",
    ):  # fmt: skip
        assert words in text or words.replace(" ", "_") in text, words


def words_of(page: Path) -> str:
    """The text of a page without its tags, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read_text())).split())


def part_of(words: str, begin: str, end: str) -> str:
    return words[words.rindex(begin) : words.index(end, words.rindex(begin))]


def test_missing_files_quarantined_and_replaced_entries_are_listed(
    page: Path, sample: ModuleType, tmp_path: Path
) -> None:
    told = part_of(words_of(page), "Files that could not be had", "From rows to records")
    assert "1 file could not be had" in told
    assert "source prdbv3 no mirror answered" in told
    assert "1 of the files that were had could not be used" in told
    assert "9bad not_a_coordinate_file <script>x</script>" in told
    sample.write_results(tmp_path)
    results = tmp_path / "results"
    lost = [f"8{i:03d}" for i in range(60)]
    rows = [sample.fill("fetched", pdb_id=name, status="missing", detail="HTTP 404\nsecond line") for name in lost]
    sample.put(results / "fetched/0.parquet", "fetched", rows)
    wanted = [{"pdb_id": name, "shard": 0, "replaces": "116l,1hhb" if name == lost[0] else ""} for name in lost]
    sample.put(results / "entries/wanted.parquet", "wanted_entries", wanted)
    report(results, config=results / "run.json", tables=["table1"], out=tmp_path / "r.html")
    told = part_of(words_of(tmp_path / "r.html"), "Files that could not be had", "From rows to records")
    assert "61 files could not be had. A run like this one goes on without a missing structure" in told
    assert "structure 8048 HTTP 404" in told
    assert "8049" not in told
    assert "second line" not in told
    assert "11 more stand in structures/entries.parquet" in told
    assert "2 of the entries asked for are obsolete" in told
    assert "116l → 8000, 1hhb → 8000" in told


def test_a_run_that_misses_nothing_says_so_in_one_sentence(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    (tmp_path / "raw/sources/prdbv3/prdbv3.csv.receipt.json").unlink()
    results = tmp_path / "results"
    write_table(empty_table("entries"), results / "structures/entries.parquet", "entries")
    report(results, config=results / "run.json", tables=["table1"], out=tmp_path / "r.html")
    told = part_of(words_of(tmp_path / "r.html"), "Files that could not be had", "From rows to records")
    assert told.split("had ", 1)[1] == (
        "Every file that was asked for was had. Quarantined entries Every structure that was had could be read. "
    )


def test_two_reports_of_one_run_are_equal(page: Path, tmp_path: Path) -> None:
    results = page.parents[1]
    started = time.perf_counter()
    again = page.with_name("again.html")
    report(results, config=results / "run.json", tables=["table1", "controls"], out=again)
    assert time.perf_counter() - started < 20
    assert again.read_bytes() == page.read_bytes()


def test_failed_and_audited_faults_stand_on_the_page(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    (tmp_path / "results/train/forest/seed_1/fold_0/predictions.parquet").unlink()
    text = finish(sample, tmp_path).read_text()
    assert "4 of 20 records not predicted: 1a00:A:B" in text
    row = text[text.index('title="predictions of forest,') :]
    row = row[: row.index("</tr>")]
    assert '<span class="tag failed">failed</span>' in row
    assert row.count('data-value=""') == 4  # no number
    assert "4 of 20 records not predicted: 1a00:A:B" in row
    assert "1 findings of the audit failed" in text


def test_a_run_without_tables_has_a_report(sample: ModuleType, tmp_path: Path) -> None:
    run = json.loads(sample.write_results(tmp_path).read_text())
    empty = tmp_path / "empty"
    empty.mkdir()
    run["config"]["paths"]["raw"] = str(empty)
    (empty / "run.json").write_text(json.dumps({"config": run["config"]}))
    report(empty, config=empty / "run.json", tables=["table1"], out=tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "There are no results yet." in text
    assert "There are no records." in text
    assert "Nothing has been fetched yet." in text


def test_a_run_with_tables_without_rows_has_a_report(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    page = finish(sample, tmp_path)
    for path in (tmp_path / "results").rglob("*.parquet"):
        name = path.stem.removeprefix("prediction_")
        write_table(empty_table(name), path, name)
    results = tmp_path / "results"
    report(results, config=results / "run.json", tables=["table1"], out=page)
    assert "There are no records." in page.read_text()


def test_pictures_bear_odd_names_and_single_values(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    records = read_table(tmp_path / "results/pra310/select/records.parquet", "records").head(1)
    assert figures.label_histogram(records.assign(label_grade="$x_{")).startswith("data:image/svg")
    folds = pd.DataFrame({"record_id": records["record_id"], "cluster": "c", "fold": 0})
    assert figures.fold_balance(folds, records).startswith("data:image/svg")
    assert figures.interface_sizes([3]).startswith("data:image/svg")
    said = pd.DataFrame({"experiment": "$x_{", "fold": 0, "record_id": "a", "measured_dg_kcal_mol": [-9.0]})
    said["predicted_dg_kcal_mol"] = -8.0
    assert panels.scatter(said, {"$x_{": "PCC –"}).startswith("data:image/svg")
    alone = pd.DataFrame({"record_id": ["a"], "cluster": ["$c_{"]})
    assert panels.residuals(said, alone, ["$x_{"]).startswith("data:image/svg")
    assert panels.learning_curves({"$x_{": {"training_loss": [(np.ones(1), np.zeros(1))]}}).startswith("data:")
    assert panels.scatter(said, {}) == panels.learning_curves({}) == panels.residuals(said, alone, []) == ""


def test_noise_and_leakage_stand_on_the_page(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    results = tmp_path / "results"
    run = json.loads((results / "run.json").read_text())
    run["config"]["evaluate"]["noise_ceiling_pcc"] = None
    (results / "run.json").write_text(json.dumps(run))
    noise = {
        "source": "every source", "other_source": "every source", "copies_left_out": False, "n_complexes": 12,
        "mean_difference_kcal_mol": 0.1, "sd_difference_kcal_mol": 1.0, "label_error_sd_kcal_mol": 0.71,
        "label_sd_kcal_mol": 2.0, "ceiling_pcc": 0.83,
    }  # fmt: skip
    sample.put(results / "pra310/calibrate/label_noise.parquet", "label_noise", [noise])
    shared = {"protein_identity_max": 0.66, "n_test": 10, "n_test_protein_70": 0, "n_pri30k_same_entry": 7}
    rows = [sample.fill("leakage", family="protein70", fold=fold, **shared) for fold in range(2)]
    sample.put(results / "split/leakage.parquet", "leakage", rows)
    text = re.sub(r"<[^>]+>", " ", finish(sample, tmp_path).read_text())
    words = " ".join(text.split())
    assert "every source 12 0.10 1.00 0.71 0.83" in words
    assert "protein70 (trained on) 20 66% none 0 0 14" in words
    assert noise_ceiling_pcc(load_run(results, results / "run.json")) == 0.83


def rows_of(page: Path, heading: str) -> dict[str, str]:
    """The lines of the first sortable table after a heading, by the experiment whose predictions they lead to."""
    text = page.read_text()
    body = text[text.index("<tbody>", text.index(heading)) :]
    lines = body[: body.index("</tbody>")].split("<tr>")[1:]
    return {re.findall(r"predictions of (\w+)", line)[0]: line for line in lines}


def test_every_number_leads_to_its_predictions_and_names_the_commit(page: Path) -> None:
    metrics = read_table(page.parents[1] / "evaluate/table1/metrics.parquet", "metrics")
    told = metrics[(metrics["subset"] == "all") & (metrics["aggregate"] == "fold_mean")]
    rows = rows_of(page, "<h3>PRA310 (all records)</h3>")
    assert list(rows) == ["train_mean", "forest", "coformer"]
    for name, line in rows.items():
        values = {row["metric"]: row["value"] for row in told[told["experiment"] == name].to_dict("records")}
        shown = [value for value in values.values() if pd.notna(value)]
        links = re.findall(r'<a class="quiet" href="([^"]*)" title="([^"]*)">', line)
        assert links == [(f"../train/{name}/", f"predictions of {name}, commit abc123")] * (1 + len(shown))
        assert (page.parent / links[0][0]).is_dir()
        for metric in ("rmse", "mae", "pcc", "scc"):
            if pd.notna(values[metric]):
                assert f'data-value="{float(values[metric])!r}"' in line


def test_the_papers_number_stands_beside_ours_in_table_and_picture(page: Path) -> None:
    text = page.read_text()
    rows = rows_of(page, "<h3>PRA310 (all records)</h3>")
    assert '<span title="Table 1, row 1, PRA310 PCC">0.432</span>' in rows["coformer"]
    assert '<span class="ci">Their name</span>' in rows["coformer"]
    assert "0.432" not in rows["forest"]
    assert "Paper: Their name: a &lt;i&gt;note&lt;/i&gt;." in text
    assert "0.432" not in text[text.index('id="controls"') : text.index('id="sources"')]
    run = load_run(page.parents[1], page.parents[1] / "run.json")
    results = results_report._read(run, "table1", results_report._published(run)[0], "..")
    assert results is not None
    with_paper = forest.forest_plot(results, "all", 0.9)
    assert with_paper in text
    assert with_paper != forest.forest_plot(replace(results, published=Published(())), "all", 0.9)


def test_tables_can_be_sorted_and_stand_without_the_script(page: Path) -> None:
    text = page.read_text()
    tables = re.findall(r'<table class="sortable">(.*?)</table>', text, re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        head = re.findall(r"<th\b", table)
        for line in table.split("<tr>")[2:]:
            assert line.count("<td") == len(head)
        for number in re.findall(r'data-value="([^"]*)"', table):
            assert number == "" or np.isfinite(float(number))
    assert 'closest("table").tBodies[0]' in text
    assert "<noscript" not in text


def test_controls_coverage_and_differences_stand_on_the_page(page: Path) -> None:
    words = words_of(page)
    assert "Controls: trained on labels dealt anew" in words
    assert "Does the interval hold 0?" in words
    assert "Differences from forest" in words
    assert "Coverage of prediction intervals" in words
    assert "By label grade" in words
    assert "Table 1: every model on the same folds (language models with random weights)" in words


def test_what_is_missing_is_named(page: Path, tmp_path: Path) -> None:
    results = page.parents[1]
    run = json.loads((results / "run.json").read_text())
    run["config"]["paths"]["curation"] = str(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run))
    report(results, config=tmp_path / "run.json", tables=["controls", "table4"], out=tmp_path / "r.html")
    assert "The paper's numbers (paper_results.tsv) are not here" in words_of(tmp_path / "r.html")
    told = part_of(words_of(tmp_path / "r.html"), "Table 4: what the model", "Where the data come from")
    assert told.endswith("There are no results yet. ")


def test_other_split_families_stand_beside_the_one_trained_on(sample: ModuleType, tmp_path: Path) -> None:
    path = sample.write_results(tmp_path)
    run = json.loads(path.read_text())
    run["config"]["evaluate"]["by_family"] = {"families": ["protein30"], "experiments": ["forest", "train_mean"]}
    path.write_text(json.dumps(run))
    sample.score_results(tmp_path)
    results = tmp_path / "results"
    told = read_table(results / "evaluate/table1/metrics.parquet", "metrics")
    elsewhere = told[told["experiment"] != "coformer"].assign(results_table="families", split_family="protein30")
    elsewhere["value"] = elsewhere["value"].where(elsewhere["metric"] != "pcc", -0.25)
    write_table(elsewhere, results / "by_family/protein30/evaluate/families/metrics.parquet", "metrics")
    report(results, config=path, tables=["table1"], out=results / "report/report.html")
    rows = rows_of(results / "report/report.html", '<h2 id="families">')
    assert set(rows) == {"forest", "train_mean"}
    here = told.set_index(["experiment", "subset", "aggregate", "metric"]).loc[
        ("forest", "all", "pooled", "pcc"), "value"
    ]
    assert re.findall(r'data-value="([^"]*)"', rows["forest"]) == [repr(float(here)), "-0.25"]
    assert 'href="../by_family/protein30/train/forest/"' in rows["forest"]


def test_residuals_are_of_the_best_model_and_those_compared_with(page: Path) -> None:
    run = load_run(page.parents[1], page.parents[1] / "run.json")
    results = results_report._read(run, "table1", Published(()), "..")
    assert results is not None
    assert results_report.residual_models(results, results.order) == ["coformer", "forest"]
    assert results_report.residual_models(results, ["train_mean"]) == ["train_mean"]


def test_learning_curves_are_read_per_seed_and_fold(page: Path, tmp_path: Path) -> None:
    curves = results_report.read_curves(page.parents[1], "coformer")
    assert [losses.tolist() for _, losses in curves["validation_loss"]] == [[0.6] * 3, [0.6] * 3, [0.7] * 3]
    assert results_report.read_curves(page.parents[1], "forest") == {}
    broken = tmp_path / "train/x/seed_1/fold_0/history.jsonl"
    broken.parent.mkdir(parents=True)
    for text in ("{", '{"training_loss": 1}', "[1]"):
        broken.write_text(text + "\n")
        with pytest.raises(InputError, match=r"history\.jsonl: expected one JSON object"):
            results_report.read_curves(tmp_path, "x")
