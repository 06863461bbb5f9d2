"""The data sets built from the real sources beside the project, compared with the published lists.

The published lists are read by the comparison only; the build never sees them.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from workflow_copy import Project, copy_project

from copra.provenance.diff import diff
from copra.tables import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(root: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `snakemake pra310 pri30k audit` with the real configuration."""
    place = tmp_path_factory.mktemp("real")
    (place / "shared").symlink_to(shared)
    project: Project = copy_project(root, place / "copra")
    config = str(root / "tests" / "real" / "config.yaml")
    done = project.snakemake("--configfile", config, "--quiet", "rules", "--", "pra310", "pri30k", "audit")
    assert done.returncode == 0, done.stdout[-6000:]
    return project.folder / "results" / "real"


@pytest.fixture(scope="module")
def labels(results: Path, shared: Path) -> pd.DataFrame:
    """The build beside the published PRA310, published entries only."""
    out = results / "diff_pra310.parquet"
    diff("pra310", results=results, published=shared / "data/labels/pra310.csv", out=out)
    table = read_table(out, "diff_pra310")
    return table[table["verdict"] != "extra"]


def test_every_structure_is_read(results: Path) -> None:
    entries = read_table(results / "structures/entries.parquet", "entries")
    assert (entries["status"] == "read").sum() == 608
    # wanted for mutations alone, and not at hand
    lost = ["2xb2", "4g0a", "4jvh", "4ngb", "4nl3", "4oi0", "5ip2"]
    others = entries.loc[entries["status"] != "read", ["pdb_id", "reason"]].to_numpy().tolist()
    assert others == [[pdb_id, "not_fetched"] for pdb_id in lost]


def test_every_mutation_of_a_structure_at_hand_is_a_mutant(results: Path) -> None:
    mutants = read_table(results / "structures/mutants.parquet", "mutants")
    assert mutants["source"].value_counts().to_dict() == {"deng": 264, "mcsm_cv": 225, "mcsm_blind": 79}
    rejects = read_table(results / "structures/mutant_rejects.parquet", "rejects")
    assert rejects["reason"].value_counts().to_dict() == {"entry_not_read": 27, "mutant_in_structure": 1}
    findings = read_table(results / "audit/findings.parquet", "findings")
    assert findings.loc[findings["check"] == "mutants_differ", "verdict"].tolist() == ["pass"]


def test_labels_of_the_published_entries(labels: pd.DataFrame) -> None:
    found = labels[labels["verdict"] != "missing"]
    assert len(labels) == 310
    assert len(found) >= 280
    assert (found["verdict"] == "equal_label").sum() >= 225
    of_201 = labels[labels["in_published_pra201"]]
    assert len(of_201) == 201
    assert (of_201["verdict"] != "missing").sum() >= 182  # the same share of the smaller set
    assert (of_201["verdict"] == "equal_label").sum() >= 146


def test_every_other_entry_is_explained_by_name(labels: pd.DataFrame) -> None:
    missing = labels[labels["verdict"] == "missing"].set_index("pdb_id")["reason"].to_dict()
    assert missing == dict.fromkeys(
        [
            "1a4t", "2c4r", "3o7v", "5gxi", "5h1l", "5jb2", "5jbj", "5w1h", "5wlh", "5www", "6fpq", "6kwr", "6sdw",
            "6sdy",
        ],
        "no_measurement",
    ) | {"6hyu": "nucleic_acid_is_dna", "4r3i": "unresolved"}  # fmt: skip
    other = labels[labels["verdict"] == "other_label"]
    assert (other["reason"] != "").all()


def test_records_with_the_published_chains(labels: pd.DataFrame, shared: Path) -> None:
    manifest = pd.read_csv(shared / "data" / "MANIFEST.csv", dtype=str)
    here = labels[labels["pdb_id"].isin(manifest["pdb_id"])]
    assert len(here) == 201
    assert (here["record"] == "published_chains").sum() >= 180
    waiting = labels[~labels["pdb_id"].isin(manifest["pdb_id"])]
    assert set(waiting["record"]) == {"structure_not_in_archive", "no_label"}


def test_known_conflicts_are_decided_by_name(results: Path) -> None:
    decisions = read_table(results / "pra310/calibrate/decisions.parquet", "decisions")
    of_candidates = decisions[decisions["subject"].str.count(":") == 2]
    rules = {
        subject[:4]: rule
        for subject, rule in zip(of_candidates["subject"], of_candidates["rule"], strict=True)
        if rule != "temperature_disputed"
    }
    expected = {
        "2i91": "majority_of_sources", "1nyb": "better_documented_source", "5e3h": "documented_over_bare",
        "4cio": "documented_over_bare", "6cmn": "documented_over_bare", "1qfq": "documented_over_bare",
        "2l41": "single_source", "2vpl": "better_documented_source", "2li8": "documented_over_bare",
        "2mkn": "documented_over_bare", "2mki": "documented_over_bare", "3d2s": "better_documented_source",
        "1wsu": "majority_of_sources", "1m8w": "documented_over_bare", "1knz": "majority_of_sources",
        "3iev": "correction", "2fmt": "unresolved", "3a6p": "unresolved",
    }  # fmt: skip
    assert {name: rules[name] for name in expected} == expected


def test_pairs_of_the_published_list(results: Path, shared: Path) -> None:
    out = results / "diff_pri30k.parquet"
    diff("pri30k", results=results, published=shared / "data/labels/pri30k_published.csv", out=out)
    table = read_table(out, "diff_pri30k")
    counts = table.groupby(["verdict", "reason"]).size().to_dict()
    assert sum(count for (verdict, _), count in counts.items() if verdict != "extra") == 30006
    assert counts["shared", ""] == 865
    assert counts["missing", "not_in_largest_component"] == 157


def test_the_audit_finds_no_fault(results: Path) -> None:
    findings = read_table(results / "audit/findings.parquet", "findings")
    assert set(findings["verdict"]) == {"pass", "note"}
