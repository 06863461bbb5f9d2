"""BuildModel through the FoldX adapter against a stand-in program: what is asked, read and kept, and failures."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from hand_made_complex import hand_made
from sample_results import fill, put

from copra.config import FoldXProgram
from copra.errors import InputError
from copra.mutation.exchange import Change
from copra.mutation.foldx import mutant_line, score_foldx_mutations
from copra.structure.foldx import NO_PROGRAM
from copra.structure.residues import Structure
from copra.structure.store import write_structures
from copra.tables import read_table

STAND_IN = Path(__file__).parents[1] / "structure" / "foldx_stand_in.py"
LYSINE = {"N": (0.0, 9.0, 0.0), "CB": (0.0, 5.0, 0.0), "NZ": (0.0, 0.0, 0.0)}


def complex_of_two(pdb_id: str = "9abc") -> Structure:
    """Chains AA and B of the same Gly-Lys; NZ of AA is near two atoms of the RNA, NZ of B near one."""
    second = {name: (x + 6.0, y, z) for name, (x, y, z) in LYSINE.items()}
    glycine = {"N": (0.0, 30.0, 0.0)}
    return hand_made(
        {
            "AA": [("GLY", glycine), ("LYS", LYSINE)],
            "B": [("GLY", glycine), ("LYS", second)],
            "R": [("A", {"P": (3.0, 0.0, 0.0), "OP1": (-3.0, 0.0, 0.0)})],
        },
        {"AA": "protein", "B": "protein", "R": "rna"},
        pdb_id,
    )


class Bench:
    """A store, a table of mutations and the stand-in as a program."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "program"
        self.home.mkdir()
        self.binary = self.home / "foldx"
        self.binary.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
        self.binary.chmod(0o755)
        self.settings = FoldXProgram(binary=str(self.binary), rotabase=None, timeout_s=60.0)
        write_structures([complex_of_two()], folder / "store.h5")

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def score(self, **mutations: dict[str, str]) -> pd.DataFrame:
        common = {
            "pdb_id": "9abc", "complex_id": "9abc:AA,B:R", "molecule_type": "protein", "mutation": "K2A",
            "polymer_indices": "1", "mutated_chains": "AA",
        }  # fmt: skip
        rows = [fill("mutation_records", mutation_id=name, **common | told) for name, told in mutations.items()]
        put(self.folder / "records.parquet", "mutation_records", rows)
        out = self.folder / "out.parquet"
        score_foldx_mutations(
            self.folder / "records.parquet", store=self.folder / "store.h5", settings=self.settings,
            folder=self.folder / "kept", out=out,
        )  # fmt: skip
        return read_table(out, "mutation_foldx").set_index("mutation_id")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_without_a_program_every_mutation_is_skipped(bench: Bench) -> None:
    bench.settings = FoldXProgram(binary=None, rotabase=None, timeout_s=60.0)
    table = bench.score(one={}, two={"mutation": "K2G"})
    assert set(table["status"]) == {"skipped"}
    assert set(table["detail"]) == {NO_PROGRAM}
    assert table[["ddg_kcal_mol", "mutant_energy_kcal_mol"]].isna().all(axis=None)


def test_mutants_are_built_and_compared_with_their_wild_type(bench: Bench) -> None:
    both = {"mutated_chains": "AA,B"}
    table = bench.score(both=both, named={}, tip={"mutation": "K2R", "mutated_chains": "B"})
    assert set(table["status"]) == {"scored"}
    # three contacts of -0.01 in the wild type: two of AA's lysine, one of B's
    assert table["wildtype_energy_kcal_mol"].tolist() == pytest.approx([-0.03] * 3)
    assert table["ddg_kcal_mol"].to_dict() == pytest.approx({"both": 0.03, "named": 0.02, "tip": 0.01})
    assert (table["mutant_energy_kcal_mol"] - table["wildtype_energy_kcal_mol"]).tolist() == pytest.approx(
        table["ddg_kcal_mol"].tolist()
    )
    assert set(table["detail"]) == {"chains renamed: AA=A"}
    calls = bench.calls()
    assert sum("RepairPDB" in call for call in calls) == 1
    assert calls[1] == "--command=BuildModel --pdb=complex.pdb --mutant-file=individual_list.txt"
    assert calls[2:4] == [
        "--command=AnalyseComplex --pdb=WT_complex_1.pdb --analyseComplexChains=AB,R",
        "--command=AnalyseComplex --pdb=complex_1.pdb --analyseComplexChains=AB,R",
    ]
    assert len(calls) == 1 + 3 * 3
    lists = {path.read_text() for path in (bench.folder / "kept").rglob("individual_list.txt")}
    assert lists == {"KA2A,KB2A;\n", "KA2A;\n", "KB2R;\n"}


def test_what_is_scored_is_not_run_again_and_what_failed_is(bench: Bench) -> None:
    first = bench.score(one={})
    n_calls = len(bench.calls())
    pd.testing.assert_frame_equal(bench.score(one={}), first)
    assert len(bench.calls()) == n_calls
    (bench.home / "mode").write_text("exit in BuildModel")
    table = bench.score(one={}, other={"mutation": "K2G"})
    assert table["status"].to_dict() == {"one": "scored", "other": "failed"}
    assert table["detail"]["other"].startswith("BuildModel: exit status 1; its output ends: ")
    (bench.home / "mode").write_text("silent in BuildModel")
    assert "BuildModel: expected the file WT_complex_1.pdb" in bench.score(other={"mutation": "K2G"})["detail"]["other"]
    (bench.home / "mode").write_text("pairs")
    assert bench.score(other={"mutation": "K2G"})["status"].tolist() == ["scored"]


def test_a_failed_repair_fails_the_mutations_of_its_complex(bench: Bench) -> None:
    (bench.home / "mode").write_text("exit in RepairPDB")
    table = bench.score(one={}, two={"mutation": "K2G"})
    assert set(table["status"]) == {"failed"}
    assert table["detail"].str.startswith("RepairPDB: exit status 1").all()
    assert len(bench.calls()) == 1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"polymer_indices": "0"}, "residue 0 of chains AA has no coordinates"),
        ({"mutated_chains": "R"}, "expected protein chains of the complex to mutate, found R"),
        ({"mutated_chains": "Q"}, "expected protein chains of the complex to mutate, found Q"),
        ({"polymer_indices": "9"}, "residue 9 of chains AA has no coordinates"),
        ({"mutation": "nonsense"}, "expected a form such as D210A"),
    ],
)
def test_what_cannot_be_asked_fails_alone(bench: Bench, told: dict[str, str], said: str) -> None:
    table = bench.score(bad=told, good={})
    assert table["status"].to_dict() == {"bad": "failed", "good": "scored"}
    assert said in table["detail"]["bad"]


def test_a_program_that_is_not_there_stops_the_verb(bench: Bench) -> None:
    bench.settings = FoldXProgram(binary="nowhere/foldx", rotabase=None, timeout_s=1.0)
    with pytest.raises(InputError, match=r"foldx\.binary"):
        bench.score(one={})


def test_lines_of_several_exchanges_leave_out_copies_without_the_residue() -> None:
    structure = complex_of_two()
    letters = {"AA": "A", "B": "B", "R": "R"}
    changes = [Change("G", "A", 0), Change("K", "E", 1)]
    assert mutant_line(structure, changes, ["AA", "B"], letters) == "GA1A,GB1A,KA2E,KB2E;"
    structure.arrays["polymer_index"][3] = 2  # the lysine of B stands elsewhere in a longer sequence
    longer = (structure.sequences[0], "GXK", structure.sequences[2])
    shifted = Structure(**{**structure.__dict__, "sequences": longer})
    assert mutant_line(shifted, changes, ["AA", "B"], letters) == "GA1A,GB1A,KA2E;"
