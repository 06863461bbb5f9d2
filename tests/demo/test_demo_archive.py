from __future__ import annotations

import gzip
import json
from pathlib import Path

import gemmi
import numpy as np
import pytest

from copra.demo.archive import TWO_LETTER_CHAINS_ENTRY, write_demo
from copra.demo.labelled import HARD_CASE_TEXT
from copra.demo.mmcif import write_gzip
from copra.demo.world import identifier, small_entry

SEED = 2024  # the tracked archive's


@pytest.fixture(scope="module")
def demo(root: Path) -> Path:
    return root / "resources" / "demo"


def structure_path(demo: Path, pdb_id: str) -> Path:
    return demo / "archive" / "structures" / "divided" / "mmCIF" / pdb_id[1:3] / f"{pdb_id}.cif.gz"


def content(path: Path) -> bytes:
    """A file's bytes; of a gzip file what it holds, since zlib versions differ in how they pack."""
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    assert data[3] == 0, f"{path}: a file name or other extra field is in the gzip header"
    assert data[4:8] == bytes(4), f"{path}: a time is in the gzip header"
    return gzip.decompress(data)


def written(folder: Path) -> list[Path]:
    return sorted([path for path in (folder / "archive").rglob("*") if path.is_file()] + list(folder.glob("*.tsv")))


@pytest.mark.slow
def test_the_tracked_archive_is_what_the_generator_writes(demo: Path, tmp_path: Path) -> None:
    stale = structure_path(tmp_path, "0zzz")
    write_gzip(stale, b"old")
    write_demo(tmp_path, seed=SEED)
    assert not stale.exists()
    expected, found = written(demo), written(tmp_path)
    assert [p.relative_to(tmp_path) for p in found] == [p.relative_to(demo) for p in expected]
    different = [p.name for p, q in zip(expected, found, strict=True) if content(p) != content(q)]
    assert different == []


def test_the_first_small_entries_are_built_again_to_the_thousandth(demo: Path) -> None:
    rng = np.random.default_rng([SEED, 1])
    for index in range(TWO_LETTER_CHAINS_ENTRY + 1):
        entry = small_entry(identifier("u", index), "U", index, rng)
        model = gemmi.read_structure(str(structure_path(demo, entry.pdb_id)))[0]
        there = [[round(v * 1000) for v in atom.pos.tolist()] for chain in model for res in chain for atom in res]
        assert np.concatenate([chain.rounded() for chain in entry.chains]).tolist() == there


def test_another_seed_gives_another_world() -> None:
    one, other = (small_entry("0uaa", "U", 0, np.random.default_rng([seed, 1])) for seed in (1, 2))
    assert one.chains[0].sequence != other.chains[0].sequence


def test_the_archive_is_small(demo: Path) -> None:
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) < 3_000_000


def test_everything_says_that_it_is_synthetic(demo: Path) -> None:
    for path in written(demo):
        if path.name in {"protein_rna_entries.json", "mutations.txt", "BioLiP.txt.gz", "truth.tsv", "hard_cases.tsv"}:
            continue  # formats without a place for a remark
        assert b"synthetic" in content(path).lower(), path
    assert "synthetic" in (demo / "README.md").read_text().lower()
    assert "synthetic" in json.loads((demo / "archive/search/protein_rna_entries.json").read_text())["query_id"]


def test_the_search_answer_lists_each_entry_one_by_its_obsolete_id_and_one_that_is_missing(demo: Path) -> None:
    answer = json.loads((demo / "archive/search/protein_rna_entries.json").read_text())
    listed = {row["identifier"].lower() for row in answer["result_set"]}
    there = {path.name.removesuffix(".cif.gz") for path in (demo / "archive/structures").rglob("*.cif.gz")}
    assert answer["total_count"] == len(answer["result_set"]) == len(listed)
    assert listed - there == {"0xab", "0xac"}
    assert there - listed == {"0uae"}
    assert "OBSLTE    01-JAN-01 0XAC     0UAE\n" in (demo / "archive/status/obsolete.dat").read_text()
    assert all(name.startswith("0") for name in listed), "ids that the PDB could give out"


def test_the_readme_names_every_hard_case(demo: Path) -> None:
    rows = [line.split("\t") for line in (demo / "hard_cases.tsv").read_text().splitlines()[1:]]
    assert {case for _, case, _ in rows} == set(HARD_CASE_TEXT)
    readme = (demo / "README.md").read_text()
    assert [name for name, _, _ in rows if f"`{name}`" not in readme] == []


def test_the_damaged_entry_is_refused_and_all_others_are_read(demo: Path) -> None:
    refused = []
    for path in sorted((demo / "archive/structures").rglob("*.cif.gz")):
        try:
            gemmi.cif.read(str(path))
        except ValueError:
            refused.append(path.name)
    assert refused == ["0xaa.cif.gz"]


def test_the_hard_cases_are_in_the_files(demo: Path) -> None:
    def model(pdb_id: str) -> gemmi.Model:
        return gemmi.read_structure(str(structure_path(demo, pdb_id)))[0]

    assert [r.name for r in model("0dab")["A"] if r.het_flag == "H"] == ["MSE"]
    assert [r.name for r in model("0dad")["R"] if r.het_flag == "H"] == ["PSU"]
    assert [r.label_seq for r in model("0daf")["A"]][20:23] == [21, 25, 26]
    assert {a.altloc for r in model("0dai")["A"] for a in r} == {"\0", "A", "B"}
    assert {c.name for c in model("0dak")} >= {"A", "a"}
    assert len(gemmi.read_structure(str(structure_path(demo, "0dao")))) == 2
    assert len(model("0dau")["R"]) == 8
    assert [str(r.seqid) for r in model("0day")["A"]][:5] == ["-3", "-2", "-1", "0", "1"]
    assert [str(r.seqid) for r in model("0dbe")["A"]][18:23] == ["19", "20", "20A", "20B", "21"]
    assert {r.name for r in model("0dbh")["D"]} <= {"DA", "DC", "DG", "DT"}
    assert model("0dbk")["R"][0].subchain == "A"
    assert {c.name for c in model("0uad")} >= {"AA", "Aa"}
