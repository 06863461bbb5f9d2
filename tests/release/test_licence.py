from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from release_run import CLOSED, ID_LIKE_A_NUMBER, NOT_A_RECORD, OPEN, change, change_config, release_of
from sample_results import fill, put

from copra.errors import InputError
from copra.release.licence import FACTS
from copra.tables import read_table


def table(folder: Path, name: str) -> pd.DataFrame:
    return read_table(folder / f"tables/{name}.parquet", name)


def files_with(folder: Path, words: str) -> set[str]:
    """The files of a release in which words stand; Parquet files are read cell by cell."""
    found = set()
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            text = "\n".join(str(cell) for cell in pd.read_parquet(path).to_numpy().ravel())
        else:
            text = path.read_text() if path.is_file() else ""
        if words in text:
            found.add(path.relative_to(folder).as_posix())
    return found


def test_no_word_of_a_closed_source_is_anywhere(run_folder: Path, released: Path) -> None:
    parsed = run_folder / "results/parsed"
    seeded = pd.read_parquet(parsed / "prbabv2/measurements.parquet")
    assert (seeded[["raw_text", "comment", "method"]] == CLOSED).all(axis=None)
    assert CLOSED in pd.read_parquet(parsed / "mcsm_blind/mutations.parquet")["raw_text"].tolist()
    assert files_with(released, CLOSED) == set()


def test_the_words_of_an_open_source_are_there(released: Path) -> None:
    tables = {f"tables/{name}.{kind}" for name in ("measurements", "decisions") for kind in ("csv", "parquet")}
    assert files_with(released, OPEN) == tables


def test_the_words_follow_the_licence_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    sources = folder / "curation/sources.tsv"
    sources.write_text(sources.read_text().replace("\tno\t", "\tyes\t"))
    out = release_of(folder, tmp_path / "open")
    assert {"tables/measurements.csv", "tables/mutations.csv", "tables/decisions.csv"} <= files_with(out, CLOSED)
    assert len(table(out, "measurements")) == 22
    assert "nothing else was left out" in (out / "LICENCES.md").read_text()


def test_of_a_closed_source_only_facts_that_a_record_uses_are_given(run_folder: Path, released: Path) -> None:
    path = run_folder / "results/parsed/prbabv2/measurements.parquet"
    stated = read_table(path, "measurements").set_index("measurement_id")
    given = table(released, "measurements").set_index("measurement_id")
    given = given[given["source"] == "prbabv2"]
    used = table(released, "records")["measurement_ids"]
    assert sorted(given.index) == sorted(used)
    assert len(stated) == len(given) + 2, "of 9zzz, which was dropped, and of the label that is no record"
    facts = [name for name in FACTS if name != "measurement_id"]
    pd.testing.assert_frame_equal(given[facts], stated.loc[given.index, facts])
    others = given.drop(columns=facts)
    assert (others.isna() | (others == "")).all(axis=None)


def test_a_label_of_a_closed_source_that_is_no_record_stays(released: Path) -> None:
    for name in ("labels", "candidates"):
        assert NOT_A_RECORD not in set(table(released, name)["candidate_id"])
        assert len(table(released, name)) == 19
    decisions = table(released, "decisions")
    assert NOT_A_RECORD not in set(decisions["subject"])


def test_decisions_on_closed_measurements_keep_the_verdict_without_the_texts(released: Path) -> None:
    decisions = table(released, "decisions")
    of_closed = decisions[decisions["subject"].str.startswith("prbabv2:")]
    assert len(of_closed) == 21
    assert (of_closed[["before", "after", "evidence", "note"]] == "").all(axis=None)
    assert (of_closed["verdict"] != "").all()
    of_record = decisions[decisions["subject"] == "1a00:A:B"].iloc[0]
    assert of_record["before"] == ""
    assert of_record["after"].endswith(" M"), "the label itself, which the table of labels gives too"


def test_hand_written_evidence_is_ours_to_give(folder: Path) -> None:
    path = folder / "results/pra310/calibrate/decisions.parquet"
    decisions = read_table(path, "decisions")
    first = decisions["subject"] == "1a00:A:B"
    decisions.loc[first, ["rule", "evidence"]] = ["correction", "read from the paper"]
    put(path, "decisions", decisions.to_dict("records"))
    given = table(release_of(folder, folder / "release"), "decisions")
    evidence = given[given["step"] == "calibrate"].set_index("subject")["evidence"]
    assert evidence["1a00:A:B"] == "read from the paper"
    assert evidence["1a02:A:B"] == ""


def test_pairs_that_only_biolip_states_stay_and_others_are_our_own_count(released: Path) -> None:
    pairs = table(released, "pri30k").set_index("pair_id")
    assert pairs["n_binding_residues"].to_dict() == {"1a00:A:B": 4, "1a01:A:B": 5}
    assert set(pairs["origin"]) == {"contacts"}
    decisions = table(released, "decisions")
    told = decisions[decisions["step"] == "build_pri30k"]
    assert told[["subject", "evidence"]].to_numpy().tolist() == [["1a01:A:B", ""]]
    assert files_with(released, "1a01:A:C") == set()


def test_mutation_effects_of_closed_sources_stay(released: Path) -> None:
    assert len(table(released, "mutations")) == 0


def test_what_stays_is_counted_by_source(released: Path) -> None:
    for name in ("DATA_CARD.md", "LICENCES.md"):
        text = (released / name).read_text()
        for line in (
            "| measurements | prbabv2 | 21 | 2 | 19 |", "| mutations | mcsm_blind | 1 | 1 | 0 |",
            "| labels | prbabv2 | 20 | 1 | 0 |", "| pri30k | biolip2 | 3 | 1 | 2 |",
        ):  # fmt: skip
            assert line in text, name
    assert "prdbv3 | 1 |" not in (released / "LICENCES.md").read_text()


def test_sources_are_listed_with_licence_and_sum(run_folder: Path, released: Path) -> None:
    sources = pd.read_csv(released / "sources.tsv", sep="\t", dtype=str, keep_default_na=False).set_index("source")
    assert sources["redistribute"].to_dict() == {
        "biolip2": "no", "mcsm_blind": "no", "pdb_structures": "yes", "prbabv2": "no", "prdbv3": "yes",
    }  # fmt: skip
    assert sources.loc["prbabv2", "sha256"] == table(released, "measurements")["file_sha256"].max()
    assert sources.loc["biolip2", "status"] == "missing"
    assert (sources["licence"] != "").all()


def test_folds_from_somebodys_file_stay(folder: Path, released: Path) -> None:
    families = sorted(path.name for path in (released / "splits").rglob("*") if path.is_dir())
    assert families == ["families", "pri30k_without", "protein70"]
    assert not (released / "splits/families/published.tsv").exists()
    assert "published" in (released / "LICENCES.md").read_text()
    change_config(folder, "split", family="published")
    out = release_of(folder, folder / "release")
    assert not (out / "splits/folds.tsv").exists()
    assert not (out / "tables/folds.csv").exists()


def test_lists_for_pre_training_name_released_pairs_only(released: Path) -> None:
    assert (released / "splits/pri30k_without/protein70/fold_0.txt").read_text() == "1a01:A:B\n"


def test_a_folder_of_a_source_that_is_no_longer_in_use_is_passed_over(folder: Path) -> None:
    parsed = folder / "results/parsed"
    shutil.copytree(parsed / "prdbv3", parsed / "pronab")
    change(parsed / "pronab/measurements.parquet", "measurements", source="pronab", measurement_id="pronab:1")
    out = release_of(folder, folder / "release")
    assert "pronab:1" not in set(table(out, "measurements")["measurement_id"])


def test_rows_of_a_source_that_is_none_are_refused(folder: Path) -> None:
    change(folder / "results/parsed/prdbv3/measurements.parquet", "measurements", source="pronab")
    with pytest.raises(InputError, match="pronab"):
        release_of(folder, folder / "release")


def test_a_label_on_a_measurement_that_is_nowhere_is_refused(folder: Path) -> None:
    path = folder / "results/pra310/calibrate/labels.parquet"
    known = read_table(path, "labels").to_dict("records")
    stray = fill("labels", candidate_id="1a00:C:D", measurement_ids="prbabv2:9")
    put(path, "labels", [*known, stray])
    with pytest.raises(InputError, match="prbabv2:9"):
        release_of(folder, folder / "release")


def test_an_id_that_reads_like_a_number_stays_a_text(released: Path) -> None:
    assert f"\n{ID_LIKE_A_NUMBER},read," in (released / "tables/entries.csv").read_text()
    assert ID_LIKE_A_NUMBER in set(table(released, "entries")["pdb_id"])
