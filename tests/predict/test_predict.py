"""`copra predict`: what it says of files, good and bad, and what it warns of."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import gemmi
import numpy as np
import pytest
from predict_world import ENTRIES, UNLABELLED, PredictWorld, demo_file
from small_complex import cif, pdb_lines, small_complex, written

from copra.cli import main
from copra.predict.engine import Engine
from copra.predict.outputs import COLUMNS, Outcome, write_csv
from copra.predict.package import read_package
from copra.predict.predict import page_names
from copra.predict.prediction import Options, Predictor
from copra.predict.result import Prediction
from copra.units import kd_from_dg


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """The verb by its command line: exit status, standard output, standard error."""
    status = main(["predict", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, told.err


def predicted(package: Path, pdb_id: str, coverage: float = 0.8, contributions: str = "none") -> Prediction:
    engine = Engine(read_package(package), {}, "cpu")
    return Predictor(engine, Options(310.0, coverage, contributions)).predict(
        engine.case(demo_file(pdb_id), None, None, None)
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


# --- what is said -------------------------------------------------------------------------------------


def test_numbers_follow_from_the_members_and_the_training_set(packages: dict[str, Path]) -> None:
    p = predicted(packages["lms"], UNLABELLED)
    package = read_package(packages["lms"])
    half = package.half_width_kcal_mol(0.8)
    assert p.dg_kcal_mol == pytest.approx(np.mean(p.members_dg_kcal_mol))
    assert p.dg_high_kcal_mol - p.dg_kcal_mol == p.dg_kcal_mol - p.dg_low_kcal_mol == pytest.approx(half)
    assert p.kd_molar == pytest.approx(kd_from_dg(p.dg_kcal_mol, 310.0))
    assert p.kd_low_molar < p.kd_molar < p.kd_high_molar
    assert len(p.training_dg_kcal_mol) == len(ENTRIES)
    assert all(math.isnan(r.contribution_kcal_mol) for r in p.residues)


def test_residues_and_contacts_are_those_of_the_file(packages: dict[str, Path], root: Path) -> None:
    p = predicted(packages["lms"], "0dac")
    model = small_complex(root)[0]
    search = gemmi.NeighborSearch(model, small_complex(root).cell, 5).populate(include_h=False)
    expected: dict[tuple[str, str], float] = {}
    for residue in model["A"]:
        for atom in residue:
            for mark in search.find_atoms(atom.pos, "\0", radius=5):
                other = mark.to_cra(model)
                if other.chain.name == "R" and (d := atom.pos.dist(other.atom.pos)) < 5:
                    key = (f"{residue.name} {residue.seqid}", f"{other.residue.name} {other.residue.seqid}")
                    expected[key] = min(d, expected.get(key, d))
    name = [f"{r.name} {r.number}{r.insertion_code}" for r in p.residues]
    assert {(name[a], name[b]): pytest.approx(d, abs=1e-3) for a, b, d in p.contacts} == expected
    assert len(expected) == 11


def test_a_training_complex_is_told_with_the_unseen_models_answer(
    packages: dict[str, Path], trained: PredictWorld
) -> None:
    p = predicted(packages["lms"], "0dac")
    (told,) = [w for w in p.warnings if "training complex 0dac:A:R" in w]
    assert "label -8.32 kcal/mol" in told
    assert "which 1 of 2 models were trained with" in told
    assert f"without it, the models of fold 0 predict {trained.predicted('lms')['0dac:A:R']:.2f}" in told
    assert p.nearest_training[0][:2] == ("0dac:A:R", 1.0)
    assert not any("training complex" in w for w in predicted(packages["lms"], UNLABELLED).warnings)


def test_a_protein_unlike_all_of_training_and_an_interface_beyond_its_sizes_are_warned_of(
    packages: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    structure = small_complex(root)
    for residue, name in zip(structure[0]["A"], ["TRP", "PRO", "HIS", "MET", "CYS"] * 100, strict=False):
        residue.name = name
    path = written(tmp_path / "odd.pdb", pdb_lines(structure))
    engine = Engine(read_package(packages["structure"]), {}, "cpu")
    predictor = Predictor(engine, Options(298.15, 0.8, "none"))
    predictor.training.interface_residues = (100, 200)
    warnings = predictor.predict(engine.case(path, None, None, None)).warnings
    assert any("no training complex is near" in w and "less than 30 %" in w for w in warnings)
    assert any("within 5 angstrom" in w and "have 100 to 200" in w for w in warnings)


def test_without_enough_records_there_is_no_interval_and_it_says_so(packages: dict[str, Path], tmp_path: Path) -> None:
    p = predicted(packages["structure"], UNLABELLED, coverage=0.99)
    assert math.isnan(p.dg_low_kcal_mol)
    assert math.isnan(p.kd_high_molar)
    assert any("no interval: too few records" in w and "99 %" in w for w in p.warnings)
    write_csv([Outcome(Path("x.cif"), p, "")], tmp_path / "a.csv")
    (row,) = rows_of(tmp_path / "a.csv")
    assert (row["dg_low_kcal_mol"], row["kd_high_molar"]) == ("", "")
    assert row["kd_molar"]


# --- the command line ---------------------------------------------------------------------------------


def test_a_bad_file_never_stops_the_rest(
    packages: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(tmp_path / "notes.txt", "to do: call the lab\n")
    files = [demo_file("0dac"), text, demo_file(UNLABELLED)]
    out, told = tmp_path / "p.csv", tmp_path / "p.json"
    status, lines, errors = run(
        capsys, *files, "--model", packages["lms"], "--out", out, "--json", told, "--contributions", "gradient"
    )
    assert status == 2
    assert [e for e in errors.splitlines() if "notes.txt" in e] == [
        f"copra predict: {text}: expected an mmCIF or PDB file, gzipped or not, found a text that begins with "
        "'to do: call the lab'"
    ]
    assert "1 of 3 files failed" in errors
    assert lines.count("dG ") >= 2
    assert "random weights" in lines
    table = rows_of(out)
    assert list(table[0]) == list(COLUMNS)
    assert [row["status"] for row in table] == ["ok", "failed", "ok"]
    assert "begins with 'to do" in table[1]["reason"]
    assert table[0]["nearest_training_record"] == "0dac:A:R"
    content = json.loads(told.read_text())
    first = content["predictions"][0]
    assert first["dg_kcal_mol"] == pytest.approx(float(table[0]["dg_kcal_mol"]), abs=1e-4)
    assert len(first["contacts"]) == 11
    assert all(math.isfinite(r["contribution_kcal_mol"]) for r in first["residues"])
    assert content["model"]["weights"] == "esm2_random random:0; rinalmo_random random:1"
    assert "takes dG as the same at both temperatures" in content["assumption"]


def test_the_same_files_give_the_same_bytes(
    packages: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        words = ["--out", tmp_path / f"{name}.csv", "--json", tmp_path / f"{name}.json"]
        assert run(capsys, demo_file("0dac"), "--model", packages["structure"], *words)[0] == 0
    for ending in ("csv", "json"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_pages_are_written_with_contributions(
    packages: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, _ = run(capsys, demo_file("0dac"), "--model", packages["structure"], "--pages", tmp_path / "pages")
    page = (tmp_path / "pages" / "0dac.html").read_text()
    assert status == 0
    assert "each residue in turn taken out of the input" in page


def test_pages_of_equal_names_do_not_overwrite_each_other() -> None:
    files = [Path("a/1urn.cif.gz"), Path("b/1urn.pdb"), Path("c/1urn_2.cif"), Path("d/1urn.ent")]
    assert page_names(files) == ["1urn.html", "1urn_2.html", "1urn_2_2.html", "1urn_3.html"]


# --- wrong inputs -------------------------------------------------------------------------------------


def only(structure: gemmi.Structure, chain: str) -> gemmi.Structure:
    for name in [c.name for c in structure[0] if c.name != chain]:
        structure[0].remove_chain(name)
    return structure


def as_dna(structure: gemmi.Structure) -> gemmi.Structure:
    for residue in structure[0]["R"]:
        residue.name = {"A": "DA", "C": "DC", "G": "DG", "U": "DT"}[residue.name]
    return structure


def test_wrong_inputs_each_give_one_line_and_exit_status_2(
    packages: dict[str, Path], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, model = demo_file("0dac"), ["--model", packages["structure"]]
    no_rna = written(tmp_path / "no_rna.pdb", pdb_lines(only(small_complex(root), "A")))
    dna = written(tmp_path / "dna.pdb", pdb_lines(as_dna(small_complex(root))))
    empty = written(tmp_path / "empty.cif", "")
    wrong = [
        ([no_rna, *model], "found no RNA; its chains are A (protein)"),
        ([dna, *model], "found DNA only, no RNA"),
        ([good, *model, "--protein", "Z"], "--protein names chain Z, which is not there"),
        ([good, *model, "--rna", "A"], "--rna expects RNA chains, found chain A, which is protein"),
        ([empty, *model], "found an empty file"),
        ([tmp_path / "none.cif", *model], "found nothing there"),
        ([tmp_path, *model], "found a folder"),
        ([good, *model, "--coordinates-model", "30"], "expected a model from 1 to 1, found --coordinates-model 30"),
        ([good, "--model", tmp_path], "a folder without model.json"),
        ([good, *model, "--temperature-k", "25"], "--temperature-k: found 25, expected 273 to 373 kelvin"),
        ([good, *model, "--coverage", "90"], "--coverage: found 90, expected a fraction"),
        ([good, *model, "--contributions", "magic"], "found 'magic', expected one of hiding, gradient, none"),
        ([good, *model, "--weights", "esm2_8M"], "found 'esm2_8M', expected NAME=FILE"),
        (model, "expected one structure file or more, found none"),
    ]
    for words, expected in wrong:
        status, out, errors = run(capsys, *words)
        lines = errors.splitlines()
        assert (status, len(lines), out) == (2, 1, ""), (words, errors)
        assert lines[0].startswith("copra predict: ")
        assert expected in lines[0]


def test_of_several_models_one_must_be_named(
    packages: dict[str, Path], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    structure = small_complex(root)
    for number in range(2, 31):
        model = structure[0].clone()
        model.num = number
        for chain in model:
            for residue in chain:
                for atom in residue:
                    atom.pos.z += 0.1 * number * (chain.name == "R")
        structure.add_model(model)
    path = written(tmp_path / "nmr.cif", cif(structure))
    words = [path, "--model", packages["structure"]]
    status, _, errors = run(capsys, *words)
    assert (status, errors.count("\n")) == (2, 1)
    assert "found 30 models, expected one, or --coordinates-model 1 to 30 to say which" in errors
    status, first, _ = run(capsys, *words, "--coordinates-model", 1, "--json", tmp_path / "first.json")
    assert status == 0
    assert "the file holds 30 models; model 1 was taken" in first
    _, third, _ = run(capsys, *words, "--coordinates-model", 3, "--json", tmp_path / "third.json")
    assert "model 3 was taken" in third
    told = [json.loads((tmp_path / f"{name}.json").read_text())["predictions"][0] for name in ("first", "third")]
    near = [[r["partner_distance_angstrom"] for r in one["residues"]] for one in told]
    assert near[0] != near[1]
    status, _, errors = run(capsys, *words, "--coordinates-model", 31)
    assert (status, "expected a model from 1 to 30, found --coordinates-model 31" in errors) == (2, True)
