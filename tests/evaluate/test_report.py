from __future__ import annotations

import base64
import html
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pandas as pd
import pytest

from copra.evaluate import figures, metrics
from copra.evaluate.report import report
from copra.evaluate.trust import noise_ceiling_pcc
from copra.provenance.audit import audit, audit_predictions
from copra.provenance.results import load_run
from copra.tables import empty_table, read_table, write_table


def finish(folder: Path) -> Path:
    """Metrics, audit and report of a sample run; returns the path of the page."""
    results = folder / "results"
    run = load_run(results, results / "run.json")
    metrics.evaluate(
        run.files("predictions"), records=run.files("records")[0], folds=run.files("folds")[0],
        settings=run.config.evaluate, out=results / "evaluate/metrics.parquet",
    )  # fmt: skip
    for name, check in (("findings", audit), ("prediction_findings", audit_predictions)):
        findings = results / f"audit/{name}.parquet"
        check(results, config=results / "run.json", findings=findings, page=folder / "audit.html")
    report(results, config=results / "run.json", out=folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    sample.write_results(folder)
    return finish(folder)


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
    assert len([a for a in reader.addresses if a.startswith("data:image/svg+xml;base64,")]) == 6
    assert all(a.startswith(("data:", "#")) for a in reader.addresses)
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
    (reason,) = read_table(page.parent / "results/parsed/prbabv2/rejects.parquet", "rejects")["reason"]
    for words in (
        "No pre-trained language model was used", "Missing sources: prdbv3", "mutant construct", reason, "9bad",
        "random:0", "abc123", "one number per fold", "found 20, expected 310", "contact_cutoff_angstrom: 5.0",
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
    report(results, config=results / "run.json", out=tmp_path / "r.html")
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
    report(results, config=results / "run.json", out=tmp_path / "r.html")
    told = part_of(words_of(tmp_path / "r.html"), "Files that could not be had", "From rows to records")
    assert told.split("had ", 1)[1] == (
        "Every file that was asked for was had. Quarantined entries Every structure that was had could be read. "
    )


def test_two_reports_of_one_run_are_equal(page: Path, tmp_path: Path) -> None:
    results = page.parent / "results"
    started = time.perf_counter()
    report(results, config=results / "run.json", out=tmp_path / "again.html")
    assert time.perf_counter() - started < 20
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_failed_and_audited_faults_stand_on_the_page(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    (tmp_path / "results/train/forest/seed_1/fold_0/predictions.parquet").unlink()
    text = finish(tmp_path).read_text()
    assert "4 of 20 records not predicted: 1a00:A:B" in text
    assert '<span class="tag failed">failed</span>' in text
    assert "1 findings of the audit failed" in text


def test_a_run_without_tables_has_a_report(sample: ModuleType, tmp_path: Path) -> None:
    run = json.loads(sample.write_results(tmp_path).read_text())
    empty = tmp_path / "empty"
    empty.mkdir()
    run["config"]["paths"]["raw"] = str(empty)
    (empty / "run.json").write_text(json.dumps({"config": run["config"]}))
    report(empty, config=empty / "run.json", out=tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "There are no results yet." in text
    assert "There are no records." in text
    assert "Nothing has been fetched yet." in text


def test_a_run_with_tables_without_rows_has_a_report(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    page = finish(tmp_path)
    for path in (tmp_path / "results").rglob("*.parquet"):
        name = path.stem.removeprefix("prediction_")
        write_table(empty_table(name), path, name)
    results = tmp_path / "results"
    report(results, config=results / "run.json", out=page)
    assert "There are no records." in page.read_text()


def test_pictures_bear_odd_names_and_single_values(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_results(tmp_path)
    records = read_table(tmp_path / "results/pra310/select/records.parquet", "records").head(1)
    assert figures.label_histogram(records.assign(label_grade="$x_{")).startswith("data:image/svg")
    folds = pd.DataFrame({"record_id": records["record_id"], "cluster": "c", "fold": 0})
    assert figures.fold_balance(folds, records).startswith("data:image/svg")
    assert figures.interface_sizes([3]).startswith("data:image/svg")
    assert figures.forest_plot(empty_table("metrics"), ["a"], 0.95, 0.9).startswith("data:image/svg")


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
    text = re.sub(r"<[^>]+>", " ", finish(tmp_path).read_text())
    words = " ".join(text.split())
    assert "every source 12 0.10 1.00 0.71 0.83" in words
    assert "protein70 (trained on) 20 66% none 0 0 14" in words
    assert noise_ceiling_pcc(load_run(results, results / "run.json")) == 0.83
