"""The FoldX adapter against a stand-in program: what is asked, read, kept, and what is said when it goes wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
from hand_made_complex import hand_made, two_atoms
from split_rows import put

from copra.config import FoldXProgram
from copra.errors import InputError
from copra.files import sha256_of_file
from copra.structure.foldx import NO_PROGRAM, run_once, score_foldx
from copra.structure.foldx_program import FoldXFailed, find_program, interaction_energy_kcal_mol, run_foldx
from copra.structure.pdb_text import NotWritable, pdb_text
from copra.structure.residues import Structure
from copra.structure.store import write_structures
from copra.tables import read_table

STAND_IN = Path(__file__).with_name("foldx_stand_in.py")


class Bench:
    """A store of hand-made complexes, and the stand-in as a program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "program"
        self.home.mkdir()
        self.binary = self.home / "foldx"
        self.binary.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
        self.binary.chmod(0o755)
        self.settings = FoldXProgram(binary=str(self.binary), rotabase=None, timeout_s=60.0)

    def mode(self, mode: str) -> None:
        (self.home / "mode").write_text(mode)

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def score(self, *structures: Structure, ids: list[str] | None = None) -> pd.DataFrame:
        write_structures(list(structures), self.folder / "store.h5")
        rows = []
        for record_id in ids or [f"{s.pdb_id}:A:R" for s in structures]:
            pdb_id, protein, rna = record_id.split(":")
            rows.append({"record_id": record_id, "pdb_id": pdb_id, "protein_chains": protein, "rna_chains": rna})
        records = put(self.folder / "records.parquet", "records", rows)
        out = self.folder / "out" / "foldx.parquet"
        score_foldx(
            records, store=self.folder / "store.h5", settings=self.settings, folder=self.folder / "kept", out=out
        )
        return read_table(out, "foldx").set_index("record_id")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def near(pdb_id: str = "9abc", distance: float = 3.0) -> Structure:
    return two_atoms(("LYS", "NZ"), ("A", "OP1"), distance, pdb_id)


def four_chains() -> Structure:
    """Chains A, B of protein and R, S of RNA; A-R, B-R and B-S are near."""
    places = {"A": 0.0, "R": 3.0, "B": 6.0, "S": 9.0}
    kinds = {name: "protein" if name in "AB" else "rna" for name in places}
    residues = {
        n: ("LYS", {"NZ": (x, 0.0, 0.0)}) if n in "AB" else ("A", {"P": (x, 0.0, 0.0)}) for n, x in places.items()
    }
    return hand_made({name: [residue] for name, residue in residues.items()}, kinds, "9four")


# --- what is asked and read -----------------------------------------------------------------------


def test_without_a_program_every_record_is_skipped(bench: Bench) -> None:
    bench.settings = FoldXProgram(binary=None, rotabase=None, timeout_s=60.0)
    table = bench.score(near("9aaa"), near("9bbb"))
    assert table["status"].tolist() == ["skipped", "skipped"]
    assert set(table["detail"]) == {NO_PROGRAM}
    assert NO_PROGRAM == "no FoldX program: set foldx.binary in the configuration"
    assert table["interaction_energy_kcal_mol"].isna().all()
    assert not table["repaired"].any()
    assert set(table["program"]) == {""}
    assert not (bench.folder / "kept").exists()


def test_a_complex_is_repaired_and_analysed(bench: Bench) -> None:
    table = bench.score(near("9aaa"), near("9bbb", 9.0), ids=["9aaa:A:R", "9bbb:A:R", "9ccc:A:R"])
    assert table["status"].to_dict() == {"9aaa:A:R": "scored", "9bbb:A:R": "scored"}
    assert table["interaction_energy_kcal_mol"].tolist() == [-0.01, 0.0]
    assert table["repaired"].all()
    assert set(table["program"]) == {f"foldx {sha256_of_file(bench.binary)}"}
    assert set(table["detail"]) == {""}
    assert bench.calls()[:2] == [
        "--command=RepairPDB --pdb=complex.pdb",
        "--command=AnalyseComplex --pdb=complex_Repair.pdb --analyseComplexChains=A,R",
    ]


@pytest.mark.parametrize("mode", ["pairs", "each two chains"])
def test_several_chains_are_two_groups(bench: Bench, mode: str) -> None:
    bench.mode(mode)
    table = bench.score(four_chains(), ids=["9four:A,B:R,S"])
    assert bench.calls()[1].endswith("--analyseComplexChains=AB,RS")
    assert table["interaction_energy_kcal_mol"].tolist() == [pytest.approx(-0.03)]


HEAD = "Pdb\tGroup1\tGroup2\tInteraction Energy\tBackbone Hbond\n"


@pytest.mark.parametrize(
    ("rows", "energy"),
    [
        ("x\tAB\tR\t-5.5\t1\n", -5.5), ("x\tR\tAB\t-5.5\t1\n", -5.5), ("x\tA\tR\t-5\t1\r\nx\tB\tR\t1.5e0\t1\r\n", -3.5),
        ("x\tA\tB\t-99\t1\nx\tA\tR\t-5\t1\nx\tB\tR\t-1\t1\n\n", -6.0), ("x\tBA\tR\t-2\t1\n", -2.0),
    ],
)  # fmt: skip
def test_rows_between_the_molecules_are_added(rows: str, energy: float) -> None:
    assert interaction_energy_kcal_mol(f"some\nheading\n{HEAD}{rows}", "AB", "R") == energy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected one heading"), (HEAD + HEAD, "expected one heading"), (HEAD, "expected rows of chains AB, R"),
        (HEAD.replace("Group2", "Partner"), "expected one heading"), (HEAD + "x\tA\tR\n", "expected 5 columns"),
        (HEAD + "x\tA\tR\tlow\t1\n", "expected an energy, found 'low'"), (HEAD + "x\tA\tR\tinf\t1\n", "an energy"),
        (HEAD + "x\tA\tQ\t1\t1\n", "expected chains AB, R"), (HEAD + "x\t\tR\t1\t1\n", "expected chains AB, R"),
        (HEAD + "x\tAR\tB\t1\t1\n", "holds chains of both"),
        (HEAD + "x\tA\tR\t1\t1\nx\tAB\tR\t1\t1\n", "two rows speak"),
        (HEAD + "x\tA\tB\t1\t1\n", "expected rows of chains"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_as_it_was_is_refused(text: str, said: str) -> None:
    with pytest.raises(FoldXFailed, match=said):
        interaction_energy_kcal_mol(text, "AB", "R")


# --- when it goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("exit in RepairPDB", "RepairPDB: exit status 1; its output ends: "),
        ("exit in AnalyseComplex", "AnalyseComplex: exit status 1; its output ends: "),
        ("silent in RepairPDB", "RepairPDB: expected the file complex_Repair.pdb, found none"),
        (
            "silent in AnalyseComplex",
            "AnalyseComplex: expected the file Interaction_complex_Repair_AC.fxout, found none",
        ),
        ("garbage", "AnalyseComplex: expected one heading"),
        ("other heading", "AnalyseComplex: expected one heading"),
        ("no number", "AnalyseComplex: expected an energy, found 'nan'"),
    ],
)
def test_a_failure_is_told_and_tried_again(bench: Bench, mode: str, said: str) -> None:
    bench.mode(mode)
    table = bench.score(near())
    assert table["status"].tolist() == ["failed"]
    assert table["detail"].iloc[0].startswith(said)
    assert table["interaction_energy_kcal_mol"].isna().all()
    assert not table["repaired"].any()
    if mode.startswith("exit"):
        assert "Specified PDB file not found | END of the" in table["detail"].iloc[0]
        assert "\x1b" not in table["detail"].iloc[0]
    (home,) = (bench.folder / "kept").iterdir()
    assert [path.name for path in home.iterdir()] == ["failed"]
    assert (home / "failed" / "foldx.log").is_file()
    bench.mode("pairs")
    assert bench.score(near())["status"].tolist() == ["scored"]


@pytest.mark.parametrize("command", ["RepairPDB", "AnalyseComplex"])
def test_a_program_that_hangs_is_ended(bench: Bench, command: str) -> None:
    bench.mode(f"hang in {command}")
    bench.settings = bench.settings.model_copy(update={"timeout_s": 1.0})
    started = time.monotonic()
    table = bench.score(near())
    assert time.monotonic() - started < 20
    assert table["status"].tolist() == ["failed"]
    assert f"{command}: not done after " in table["detail"].iloc[0]


def test_what_a_hanging_program_started_is_ended_too(bench: Bench) -> None:
    bench.binary.write_text("#!/bin/sh\nsleep 600 &\necho $! > child\nwait\n")
    program = find_program(bench.settings)
    assert program is not None
    with pytest.raises(FoldXFailed, match=r"RepairPDB: not done after 1 s; it said nothing"):
        run_foldx(program, bench.folder, "RepairPDB", {}, 1.0)
    child = int((bench.folder / "child").read_text())
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True).stdout.strip()
        if not state or state.startswith("Z"):
            break
        time.sleep(0.05)
    assert not state or state.startswith("Z")


def test_a_program_that_is_not_there_stops_the_verb(bench: Bench) -> None:
    for path in ("nowhere/foldx", str(bench.folder), str(STAND_IN.with_name("test_foldx.py"))):
        bench.settings = FoldXProgram(binary=path, rotabase=None, timeout_s=1.0)
        with pytest.raises(InputError, match=r"foldx\.binary"):
            bench.score(near())
    bench.settings = FoldXProgram(binary=str(bench.binary), rotabase="nowhere/rotabase.txt", timeout_s=1.0)
    with pytest.raises(InputError, match=r"foldx\.rotabase"):
        bench.score(near())


def test_a_program_that_cannot_be_started_fails(bench: Bench) -> None:
    bench.binary.write_bytes(b"\x7fELF not really")
    table = bench.score(near())
    assert table["detail"].iloc[0].startswith("RepairPDB: cannot be started")


def test_rotabase_of_older_versions_is_put_beside_the_input(bench: Bench) -> None:
    bench.mode("rotabase")
    assert bench.score(near())["status"].tolist() == ["failed"]
    (bench.home / "rotabase.txt").write_text("rotamers")
    table = bench.score(near())
    assert table["status"].tolist() == ["scored"]
    assert ", rotabase.txt " in table["program"].iloc[0]


# --- what is kept ---------------------------------------------------------------------------------


def test_what_is_scored_is_not_run_again(bench: Bench) -> None:
    first = bench.score(near("9aaa"), near("9bbb"))
    assert len(bench.calls()) == 4
    second = bench.score(near("9aaa"), near("9bbb"))
    assert len(bench.calls()) == 4
    pd.testing.assert_frame_equal(first, second)
    bench.score(near("9aaa"), near("9bbb", 3.5))  # other coordinates
    assert len(bench.calls()) == 6
    bench.binary.write_text(bench.binary.read_text() + "# another version\n")
    bench.score(near("9aaa"))
    assert len(bench.calls()) == 8


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"found": {"interaction_energy_kcal_mol": -1.0}}', "gone"])
def test_a_damaged_result_is_made_anew(bench: Bench, damage: str) -> None:
    first = bench.score(near())
    (result,) = (bench.folder / "kept").glob("*/*/result.json")
    whole = result.read_bytes()
    if damage == "gone":
        result.unlink()
    else:
        result.write_text(damage)
    pd.testing.assert_frame_equal(bench.score(near()), first)
    assert result.read_bytes() == whole
    assert len(bench.calls()) == 4


def test_a_killed_run_leaves_nothing_that_counts(bench: Bench) -> None:
    """The verb is killed in the middle of FoldX; the next one starts this record again and keeps the one before."""
    bench.score(near("9aaa"))
    (bench.folder / "out" / "foldx.parquet").unlink()
    bench.mode("hang in AnalyseComplex")
    process = multiprocessing.get_context("fork").Process(target=bench.score, args=(near("9aaa"), near("9bbb")))
    process.start()
    for _ in range(600):
        if len(bench.calls()) == 4:
            break
        time.sleep(0.05)
    process.kill()
    process.join()
    os.kill(int((bench.home / "hanging").read_text()), signal.SIGKILL)  # FoldX itself lives on when we are killed
    assert len(bench.calls()) == 4
    assert list((bench.folder / "out").iterdir()) == []
    assert len(list((bench.folder / "kept").glob("*/*/result.json"))) == 1
    assert len(list((bench.folder / "kept").glob("*/attempt-*"))) == 1
    bench.mode("pairs")
    table = bench.score(near("9aaa"), near("9bbb"))
    assert table["status"].tolist() == ["scored", "scored"]
    assert len(bench.calls()) == 6
    assert list((bench.folder / "kept").glob("*/attempt-*")) == []


def test_odd_ids_stay_inside_the_folder(bench: Bench) -> None:
    odd = {"../../x": "protein", "; touch owned #": "rna", "$(id)": "rna"}
    chains = {
        name: [("LYS", {"NZ": (0.0, 0.0, 0.0)})] if kind == "protein" else [("A", {"P": (3.0, 0.0, 0.0)})]
        for name, kind in odd.items()
    }
    before = set(bench.folder.iterdir())
    table = bench.score(hand_made(chains, odd, "9odd"), ids=["9odd:../../x:; touch owned #,$(id)"])
    assert table["status"].tolist() == ["scored"]
    assert table["detail"].tolist() == ["chains renamed: ../../x=A ; touch owned #=B $(id)=C"]
    after = {path.name for path in bench.folder.iterdir()} - {path.name for path in before}
    assert after == {"store.h5", "records.parquet", "kept", "out"}
    assert all(path.parent == bench.folder / "kept" for path in (bench.folder / "kept").iterdir())


def test_any_command_can_be_run_once_in_a_folder_of_its_own(bench: Bench) -> None:
    program = find_program(bench.settings)
    assert program is not None
    text = pdb_text(near(), "x", ["A"], ["R"]).text

    def run(prepared: Path) -> dict[str, object]:
        (prepared / "individual_list.txt").write_text("KA1A;\n")
        run_foldx(program, prepared, "RepairPDB", {"pdb": "complex.pdb", "pH": "7"}, program.timeout_s)
        return {"lines": (prepared / "complex_Repair.pdb").read_text().count("ATOM")}

    kept = bench.folder / "kept"
    assert run_once(program, kept, "x", "KA1A", text, run) == {"lines": 2}
    assert run_once(program, kept, "x", "KA1A", text, run) == {"lines": 2}
    assert len(bench.calls()) == 1
    run_once(program, kept, "x", "KA1G", text, run)
    assert len(bench.calls()) == 2


# --- the PDB text ---------------------------------------------------------------------------------


def test_chains_get_single_letters_and_residues_their_places() -> None:
    chains = {
        "AA": [("MSE", {"CA": (1.0, 2.0, 3.0), "SE": (2.0, 2.0, 3.0)})],
        "B": [("HIS", {"N": (-1.5, 0.25, 999.125), "ND1": (0.0, 0.0, 0.0)})],
        "A": [("5MC", {"P": (4.0, 0.0, 0.0), "CM5": (5.0, 0.0, 0.0), "O2'": (6.0, 0.0, 0.0)})],
        "1": [("DT", {"C7": (7.0, 0.0, 0.0)}), ("U", {"N1": (8.0, 0.0, 0.0)}), ("N", {"P": (9.0, 0.0, 0.0)})],
    }
    kinds = {"AA": "protein", "B": "protein", "A": "rna", "1": "hybrid"}
    structure = hand_made(chains, {**kinds, "1": "rna"})
    structure = replace(structure, molecule_types=tuple(kinds.values()))
    made = pdb_text(structure, "x", ["AA", "B"], ["A", "1"])
    assert (made.protein_letters, made.rna_letters) == ("CB", "A1")
    assert made.notes == (
        "chains renamed: AA=C; modified residues written as their parents: 2; residues of unknown type left out: 1"
    )
    read = gemmi.read_pdb_string(made.text)[0]
    told = [(c.name, r.name, r.seqid.num, [a.name for a in r], [a.element.name for a in r]) for c in read for r in c]
    assert told == [
        ("C", "MET", 1, ["CA", "SD"], ["C", "S"]), ("B", "HIS", 1, ["N", "ND1"], ["N", "N"]),
        ("A", "C", 1, ["P", "O2'"], ["P", "O"]), ("1", "DT", 1, ["C7"], ["C"]), ("1", "U", 2, ["N1"], ["N"]),
    ]  # fmt: skip
    assert read["B"][0]["N"][0].pos.tolist() == [-1.5, 0.25, 999.125]


def test_text_of_a_complex_does_not_depend_on_what_else_is_there() -> None:
    structure = four_chains()
    assert pdb_text(structure, "x", ["A"], ["S"]).text.count("ATOM") == 2
    text = pdb_text(structure, "x", ["A"], ["S"]).text
    assert text == (
        "ATOM      1  NZ  LYS A   1       0.000   0.000   0.000  1.00  0.00           N\n"
        "TER       2      LYS A   1\n"
        "ATOM      3  P     A S   1       9.000   0.000   0.000  1.00  0.00           P\n"
        "TER       4        A S   1\n"
        "END\n"
    )


def many(count: int, kind: str) -> dict[str, list[tuple[str, dict[str, tuple[float, float, float]]]]]:
    residue = ("LYS", {"NZ": (0.0, 0.0, 0.0)}) if kind == "protein" else ("A", {"P": (3.0, 0.0, 0.0)})
    return {f"{kind}{i}": [residue] for i in range(count)}


def test_what_the_format_cannot_hold_fails_with_its_reason(bench: Bench) -> None:
    chains = {**many(60, "protein"), **many(3, "rna")}
    structure = hand_made(chains, {name: name.rstrip("0123456789") for name in chains}, "9many")
    proteins, rnas = [n for n in chains if n[0] == "p"], [n for n in chains if n[0] == "r"]
    assert len(set(pdb_text(structure, "x", proteins, rnas[:2]).protein_letters)) == 60
    with pytest.raises(NotWritable, match="expected at most 62 chains, found 63"):
        pdb_text(structure, "x", proteins, rnas)
    far = two_atoms(("LYS", "NZ"), ("A", "OP1"), 10000.0, "9far")
    table = bench.score(near(), far, ids=["9abc:A:R", "9far:A:R"])
    assert table["status"].to_dict() == {"9abc:A:R": "scored", "9far:A:R": "failed"}
    assert "expected coordinates from -999.999 to 9999.999" in table["detail"]["9far:A:R"]
    unknown = hand_made({"A": [("UNK", {"CA": (0.0, 0.0, 0.0)})], "R": [("A", {"P": (3.0, 0.0, 0.0)})]},
                        {"A": "protein", "R": "rna"})  # fmt: skip
    with pytest.raises(NotWritable, match="expected known residues in chain A, found none"):
        pdb_text(unknown, "x", ["A"], ["R"])
    long = near()
    long.arrays["polymer_index"] = np.array([9999, 0], dtype="i4")
    with pytest.raises(NotWritable, match="up to 9999, found 1 up to 10000"):
        pdb_text(long, "x", ["A"], ["R"])
    with pytest.raises(InputError, match=r"expected RNA chains \['Q'\]"):
        pdb_text(near(), "x", ["A"], ["Q"])


def test_more_atoms_than_the_format_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copra.structure.pdb_text.MAX_ATOMS", 3)
    with pytest.raises(NotWritable, match="expected at most 3 atoms, found 4"):
        pdb_text(near(), "x", ["A"], ["R"])
