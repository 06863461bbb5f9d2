from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from copra.config_evaluate import Evaluate
from copra.config_file import load_config
from copra.errors import InputError
from copra.evaluate import sections, tables, wording
from copra.evaluate.grids import Cell, escape
from copra.evaluate.published import COLUMNS
from copra.tables import read_table, write_table

NAMES = ["forest_lengths", "coformer_scratch", "foldx", "gvp"]
CAUSE = "diverged: epoch 2 | <b>loss</b>\nnan"
METRICS = ("rmse", "mae", "pcc", "scc")
Files = dict[str, Path]


def status_of(name: str) -> tuple[str, str]:
    return {"foldx": ("skipped", "no foldx.binary"), "gvp": ("failed", CAUSE)}.get(name, ("ok", ""))


@pytest.fixture
def files(sample: ModuleType, root: Path, tmp_path: Path) -> Files:
    """The three tables of a small results table, run.json and the paper's numbers, as files."""
    rows: list[dict[str, Any]] = []
    places = [(s, a) for s in ("all", "pra201") for a in ("pooled", "fold_mean", "ensemble")]
    places += [(s, "pooled") for s in ("grade_A", "grade_B", "protein_identity_below_30", "same_rna_in_training")]
    for i, name in enumerate(NAMES):
        status, note = status_of(name)
        for j, (subset, aggregate) in enumerate(places):
            for k, metric in enumerate(METRICS):
                value = 0.1 * (i + 1) + 0.01 * j + 0.001 * k if status == "ok" else None
                ends = (None, None) if value is None else (value - 0.2, value + 0.2)
                told = {"value": value, "ci_low": ends[0], "ci_high": ends[1], "status": status, "note": note}
                rows.append(sample.fill(
                    "metrics", results_table="table1", split_family="protein70", experiment=name, protocol="nested",
                    subset=subset, aggregate=aggregate, metric=metric, n_records=310, n_clusters=200, n_seeds=3,
                    weights="esm2_650M random:0" if name == "coformer_scratch" else "no language model", **told,
                ))  # fmt: skip
    sample.put(tmp_path / "m.parquet", "metrics", rows)
    differences = [
        sample.fill(
            "differences", results_table="table1", experiment="coformer_scratch", reference="forest_lengths",
            subset=subset, metric=metric, difference=-0.25, ci_low=-0.5, ci_high=0.125, p_value=0.2, p_holm=0.4,
            resolution=0.33, n_records=310, n_clusters=200, verdict="not told apart (resolution 0.33)",
        )
        for subset in ("all", "pra201") for metric in METRICS
    ]  # fmt: skip
    sample.put(tmp_path / "d.parquet", "differences", differences)
    intervals = [
        sample.fill(
            "intervals", results_table="table1", experiment="coformer_scratch", subset="all", method="constant",
            nominal_coverage=share, coverage=share + 0.01, ci_low=share - 0.05, ci_high=share + 0.05,
            mean_width_kcal_mol=4 * share, n_records=310, n_clusters=200, status="ok",
        )
        for share in (0.8, 0.9)
    ]  # fmt: skip
    sample.put(tmp_path / "i.parquet", "intervals", intervals)
    (tmp_path / "results/table1").mkdir(parents=True)
    (tmp_path / "results/run.json").write_text('{"git_commit": "0123456789abcdef+changes", "machine": "two cores"}')
    paper = (root / "resources/curation/paper_results.tsv").read_text()
    (tmp_path / "paper.tsv").write_text(paper)
    return {"folder": tmp_path, "markdown": tmp_path / "results/table1/table1.md"}


@pytest.fixture(scope="module")
def plain(root: Path) -> Evaluate:
    return load_config(root / "config.yaml").evaluate


@pytest.fixture
def write(files: Files, plain: Evaluate) -> Callable[..., str]:
    """Writes the table with other settings; returns the Markdown."""
    folder = files["folder"]

    def written(table: str = "table1", **changed: Any) -> str:
        settings = plain.model_copy(update={"table1": NAMES, "compare_with": ["forest_lengths"], **changed})
        tables.write_table(
            folder / "m.parquet", table=table, differences=folder / "d.parquet", intervals=folder / "i.parquet",
            settings=settings, published=folder / "paper.tsv", config=folder / "results/run.json",
            markdown=files["markdown"], tsv=files["markdown"].with_suffix(".tsv"),
            differences_tsv=files["markdown"].with_name("differences.tsv"),
        )  # fmt: skip
        return files["markdown"].read_text()

    return written


def rows_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without their links."""
    lines = iter(text[text.index(heading) :].splitlines())
    found = []
    for line in lines:
        if line.startswith("|"):
            bare = re.sub(r"\[([^\[\]]*)\]\([^)]*\)", r"\1", line.strip())
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", bare)[1:-1]])
        elif found:
            break
    return found


@pytest.mark.parametrize(
    ("weights", "trained", "untrained"),
    [
        ("", False, False), ("no language model", False, False),
        ("esm2_random random:0; rinalmo_random random:1", False, True), ("esm2_650M sha256:ab", True, False),
        ("esm2_random random:0; rinalmo_giga sha256:cd", True, True),
    ],
)  # fmt: skip
def test_trained_weights_are_told_from_random_ones(weights: str, trained: bool, untrained: bool) -> None:
    assert tables.has_trained_weights(weights) is trained
    assert wording.has_random_weights(weights) is untrained
    notice = tables.weights_notice(pd.Series([weights]))
    assert notice.startswith("Pre-trained" if trained else "No pre-trained")
    assert ("random:" in notice) is untrained


def test_the_page_begins_with_title_notice_and_random_weights(write: Callable[..., str]) -> None:
    text = write(title="A title", notice="A notice")
    assert text.startswith(
        "# A title: Table 1: every model on the same folds (language models with random weights)\n\n> **A notice**\n\n"
        "> **No pre-trained language model was used: where a language model stands, its weights are random "
        "(esm2_650M random:0)"
    )
    assert "Protocol: nested; 3 seeds (2024, 2025, 2026); PRA310: 310 records in 200 clusters; PRA201: 310" in text
    assert "2 of 4 rows have numbers; failed: gvp; skipped: foldx." in text
    assert "machine: two cores" in text


def test_our_numbers_are_those_of_the_metrics_and_the_papers_those_of_its_file(
    files: Files, write: Callable[..., str]
) -> None:
    text = write()
    key = ["experiment", "subset", "aggregate", "metric"]
    told = read_table(files["folder"] / "m.parquet", "metrics").set_index(key)
    papers = {"all": ["–", "1.446", "–", "1.678"], "pra201": ["–", "1.428", "–", "1.702"]}
    for subset, name in wording.SUBSET_NAMES.items():
        head, *rows = rows_after(text, f"## {name}\n")
        beside = "RMSE,paper RMSE,MAE,paper MAE,PCC,paper PCC,SCC,paper SCC"
        assert head == ["row", "experiment", *beside.split(","), "n", "status", "commit"]
        rows = rows[1:]
        assert [row[1] for row in rows] == NAMES  # the order of the configuration
        assert [row[0] for row in rows] == ["forest_lengths", "CoPRA (scratch)", "FoldX", "GVP"]
        for row in rows[:2]:
            for k, metric in enumerate(METRICS):
                number = told.loc[(row[1], subset, "fold_mean", metric)]
                wanted = tables.format_value(number["value"], number["ci_low"], number["ci_high"], 2)
                assert row[2 + 2 * k] == wanted
        assert [row[3] for row in rows] == papers[subset]
        assert [row[7] for row in rows][2:] == {"all": ["0.212", "0.262"], "pra201": ["0.212", "0.240"]}[subset]
    pooled = rows_after(text, "## PRA310 (all records): pooled and ensemble\n")
    assert not any("paper" in name for name in pooled[0])  # the paper gives means over folds only
    assert "FoldX: an energy change, so the paper compares correlations only" in text
    assert "Rows of the paper that are not in this run: LM+LR, LM+RF" in text


def test_the_papers_numbers_can_be_left_out_and_its_names_stay(files: Files, write: Callable[..., str]) -> None:
    text = write(compare_with_paper=False)
    head, _, *rows = rows_after(text, "## PRA310 (all records)\n")
    assert head == ["row", "experiment", "RMSE", "MAE", "PCC", "SCC", "n", "status", "commit"]
    assert [row[0] for row in rows] == ["forest_lengths", "CoPRA (scratch)", "FoldX", "GVP"]
    assert "Paper:" not in text
    assert "Rows of the paper" not in text
    told = pd.read_csv(files["markdown"].with_suffix(".tsv"), sep="\t", keep_default_na=False)
    assert set(told["paper_value"]) == {""}


def test_with_one_seed_there_is_no_table_of_an_ensemble(write: Callable[..., str]) -> None:
    text = write(seeds=[2024])
    assert "## PRA310 (all records): pooled\n" in text
    assert wording.AGGREGATE_NAMES["ensemble"] not in text.split("## By label grade")[0]


def test_rows_without_numbers_tell_their_cause(write: Callable[..., str]) -> None:
    text = write(table1=[*NAMES, "ipa"])
    for heading in ("## PRA310 (all records)\n", "## PRA201 (one protein and one RNA chain)\n"):
        by_name = {row[1]: row for row in rows_after(text, heading)[2:]}
        assert [by_name["foldx"][i] for i in (2, 4, 6, 8)] == ["–"] * 4
        assert by_name["foldx"][-2] == "skipped: no foldx.binary"
        assert [by_name["gvp"][i] for i in (2, 4, 6, 8)] == ["–"] * 4
        assert by_name["gvp"][-2] == "failed: diverged: epoch 2 \\| &lt;b>loss&lt;/b> nan"
        assert by_name["ipa"][2] == "–"
        assert by_name["ipa"][-2] == "missing: no metrics of it"
        assert by_name["coformer_scratch"][-2] == "ok"
    assert "<b>" not in text


def test_every_row_leads_to_its_predictions_and_names_the_commit(files: Files, write: Callable[..., str]) -> None:
    text = write()
    (files["folder"] / "results/train/foldx").mkdir(parents=True)
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| row"):
            (target,) = re.findall(r"\]\(([^)]*)\)", line)
            assert re.fullmatch(r"\.\./train/(forest_lengths|coformer_scratch|foldx|gvp)/", target), line
    assert (files["markdown"].parent / "../train/foldx/").is_dir()
    for row in rows_after(text, "## PRA310 (all records)\n")[2:]:
        assert row[-1] == "0123456789+changes"
    for name in ("table1.tsv", "differences.tsv"):
        frame = pd.read_csv(files["markdown"].with_name(name), sep="\t", keep_default_na=False)
        assert set(frame["commit"]) == {"0123456789abcdef+changes"}
        assert (frame["predictions"] == "../train/" + frame["experiment"] + "/").all()


def test_the_tsv_holds_every_number(files: Files, write: Callable[..., str]) -> None:
    write()
    frame = pd.read_csv(files["markdown"].with_suffix(".tsv"), sep="\t")
    told = read_table(files["folder"] / "m.parquet", "metrics")
    assert len(frame) == len(told) + 2 * 2  # coverage and width at two levels
    key = ["experiment", "subset", "aggregate", "metric"]
    both = frame.merge(told, on=key, suffixes=("", "_told"))
    assert len(both) == len(told)
    pd.testing.assert_series_equal(both["value"], both["value_told"], check_names=False, rtol=1e-5)
    paper = frame.set_index(key).loc[("coformer_scratch", "pra201", "fold_mean", "pcc")]
    assert (paper["paper_value"], paper["paper_cell"]) == (0.534, "Table 1, row 15, PRA201 PCC")
    assert frame["paper_value"].notna().sum() == 2 * (4 + 4 + 2)  # CoPRA (scratch), GVP; FoldX has correlations only
    width = frame[frame["metric"] == "mean_width_kcal_mol_at_0.9"].iloc[0]
    assert (width["value"], width["aggregate"]) == (pytest.approx(3.6), "conformal_constant")


def test_differences_coverage_grades_and_similarity_are_told(files: Files, write: Callable[..., str]) -> None:
    text = write(noise_ceiling_pcc=0.87)
    differences = rows_after(text, "## Differences from forest_lengths")
    verdict = "not told apart (resolution 0.33)"
    assert differences[2][1:5] == ["coformer_scratch", "−0.25 [−0.50, 0.12]", "0.400", verdict]
    assert len(pd.read_csv(files["markdown"].with_name("differences.tsv"), sep="\t")) == 8
    coverage = rows_after(text, "## Coverage of prediction intervals")
    assert coverage[2][1:] == ["coformer_scratch", "constant", "0.81 [0.75, 0.85]", "3.20", "0.91 [0.85, 0.95]", "3.60"]
    assert rows_after(text, "## By label grade")[0][2:] == ["grade A, n = 310", "grade B, n = 310"]
    assert rows_after(text, "## By similarity")[0][2:] == ["below 30 %, n = 310", "same RNA in training, n = 310"]
    assert "would reach a PCC of 0.87" in text
    assert "Noise ceiling" not in write(noise_ceiling_pcc=None)


def test_controls_say_whether_their_interval_holds_0(files: Files, write: Callable[..., str]) -> None:
    for path, kind in (("m", "metrics"), ("d", "differences"), ("i", "intervals")):
        frame = read_table(files["folder"] / f"{path}.parquet", kind).assign(results_table="controls")
        frame["experiment"] += "_shuffled"
        if kind == "metrics":  # of one control all records together are off 0
            pooled = (frame["experiment"] == "forest_lengths_shuffled") & (frame["aggregate"] == "pooled")
            frame.loc[pooled, ["value", "ci_low", "ci_high"]] = [0.3, 0.1, 0.5]
        write_table(frame, files["folder"] / f"{path}.parquet", kind)
    text = write("controls", controls=NAMES, control_seeds=[1, 2, 3, 4])
    rows = rows_after(text, "## Does the interval hold 0?")[2:]
    assert [row[-1] for row in rows] == [
        "no: all held-out records together", "no: mean over folds, as the paper reports; all held-out records together",
        "not defined", "not defined",
    ]  # fmt: skip
    assert "Protocol: nested; 4 seeds (1, 2, 3, 4)" in text
    assert "the luck of 4 dealings" in text
    assert "There was one dealing" in write("controls", controls=NAMES, control_seeds=[1])
    assert sections.holds_zero({"pooled": {"ci_low": -0.1, "ci_high": 0.1}}) == "yes"
    assert "paper RMSE" not in text


def test_two_tables_of_one_run_are_equal(files: Files, write: Callable[..., str]) -> None:
    paths = [files["markdown"].with_name(name) for name in ("table1.md", "table1.tsv", "differences.tsv")]
    write()
    first = [path.read_bytes() for path in paths]
    write()
    assert [path.read_bytes() for path in paths] == first


def test_another_results_table_or_an_unknown_one_is_refused(files: Files, write: Callable[..., str]) -> None:
    with pytest.raises(InputError, match=r"m\.parquet: expected rows of .*'table3', found \['table1'\]"):
        write("table3")
    with pytest.raises(InputError, match="expected one of"):
        write("table2")
    (files["folder"] / "paper.tsv").write_text("\t".join(COLUMNS[1:]) + "\n")
    with pytest.raises(InputError, match=r"paper\.tsv: expected the columns"):
        write()


def test_values_are_written_with_a_minus_sign_and_undefined_ones_as_a_dash() -> None:
    assert tables.format_value(-0.123, -0.4, 0.2, 2) == "−0.12 [−0.40, 0.20]"
    assert tables.format_value(-0.001, None, None, 2) == "0.00"
    assert tables.format_value(None, None, None, 2) == "–"
    assert tables.format_value(1.0, float("nan"), 2.0, 1) == "1.0"


def test_texts_from_outside_stay_texts() -> None:
    assert escape("a|b <i>\n[x](y) `c`") == "a\\|b &lt;i> [x\\](y) \\`c\\`"
    assert Cell("x", sort=float("nan")).key == ""
    assert Cell("x", sort=-0.5).key == "-0.5"
