"""A scan says of every substitution what a prediction of the mutant by itself would say, and what it cannot know."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_complex import FAR_ANGSTROM, cif, small_complex, with_copy, written
from tiny_model import tiny_model

from copra.cli import main
from copra.embed.language_models import LanguageModel
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.predict import substitutions
from copra.predict.engine import Engine
from copra.predict.package import read_package
from copra.predict.scan import scan
from copra.structure.residues import type_index

Scan = Callable[..., pd.DataFrame]


def entry(root: Path, pdb_id: str) -> Path:
    folder = root / "resources" / "demo" / "archive" / "structures" / "divided" / "mmCIF"
    return folder / pdb_id[1:3] / f"{pdb_id}.cif.gz"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages: `lm` reads both language models, `structure` none, `alone` has a single member."""
    folder = tmp_path_factory.mktemp("models")
    both = {"protein_lm": "esm2_random", "rna_lm": "rinalmo_random"}
    none = {"protein_lm": None, "rna_lm": None}
    return {
        "lm": tiny_model(folder / "lm", **both),
        "structure": tiny_model(folder / "structure", **none),
        "alone": tiny_model(folder / "alone", **none, n_members=1),
    }


@pytest.fixture
def run(root: Path, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scan:
    """Scan and read the table; the picture, which takes longest, is left out."""
    monkeypatch.setattr("copra.predict.scan_picture.write_scan_picture", lambda *_: None)

    def scanned(file: Path | str, model: str, chain: str, positions: str, **options: object) -> pd.DataFrame:
        path = entry(root, file) if isinstance(file, str) else file
        scan(path, model=models[model], chain=chain, positions=positions, out=tmp_path / "out", **options)
        return pd.read_csv(tmp_path / "out" / "scan.csv", keep_default_na=False, na_values={"ddg_sd_kcal_mol": [""]})

    return scanned


@pytest.mark.parametrize("all_copies", [False, True])
@pytest.mark.parametrize("model", ["lm", "structure"])
def test_each_value_is_that_of_the_mutant_predicted_by_itself(
    run: Scan, root: Path, models: dict[str, Path], model: str, all_copies: bool
) -> None:
    table = run("0dbq", model, "A", "contacts", all_copies=all_copies)
    engine = Engine(read_package(models[model]), {}, None)
    case = engine.case(entry(root, "0dbq"), None, None, None)
    assert case.interface.chain_ids == ("A", "B", "R")
    chains = [0, 1] if all_copies else [0]
    assert set(table["mutated_chains"]) == {"A+B" if all_copies else "A"}
    text = case.structure.sequences[case.structure.chain_ids.index("A")]
    engine.embed(case.sequences)
    wild_type = engine.dg_kcal_mol([engine.sample(case.interface)])[:, 0]
    for row in table.sample(4, random_state=1).itertuples():
        here = (case.interface.auth_number == row.number) & (case.interface.chain == 0)
        place = int(case.interface.polymer_index[here][0])
        assert text[place] == row.wild_type
        mutant = text[:place] + row.mutant + text[place + 1 :]
        engine.embed([("protein", mutant)])
        types, keys = case.interface.residue_type.copy(), list(case.interface.chain_sequence_sha256)
        types[np.isin(case.interface.chain, chains) & (case.interface.polymer_index == place)] = type_index(
            row.mutant, True
        )
        for chain in chains:
            keys[chain] = sha256_of_text(mutant)
        changed = dataclasses.replace(case.interface, residue_type=types, chain_sequence_sha256=tuple(keys))
        ddg = engine.dg_kcal_mol([engine.sample(changed)])[:, 0] - wild_type
        assert abs(ddg.mean()) > 1e-4
        assert row.ddg_kcal_mol == pytest.approx(ddg.mean(), abs=1e-5)
        assert row.ddg_sd_kcal_mol == pytest.approx(ddg.std(ddof=1), abs=1e-5)


def test_every_other_letter_stands_there_once_with_the_authors_numbers(run: Scan) -> None:
    table = run("0dac", "structure", "A", "all")
    assert (table.groupby("number")["mutant"].nunique() == 19).all()
    assert (table["wild_type"] != table["mutant"]).all()
    assert not table.duplicated(["number", "insertion_code", "mutant"]).any()
    assert (table[["chain", "molecule", "insertion_code", "mutated_chains"]] == ["A", "protein", "", "A"]).all().all()


def test_what_a_structure_model_does_not_see_is_exactly_zero_and_told(
    run: Scan, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = run("0daa", "structure", "A", "all")
    outside = table[~table["in_interface"]]
    assert len(outside) > 19
    assert (outside["ddg_kcal_mol"] == 0).all()
    assert (table.loc[table["in_interface"], "ddg_kcal_mol"] != 0).all()
    told = f"{len(outside)} of {len(table)} substitutions have a ddG of exactly 0"
    assert told in capsys.readouterr().out
    assert told in (tmp_path / "out" / "scan.html").read_text()
    # a language model passes a change on to all residues
    places = ",".join(str(number) for number in outside["number"].unique()[::5])
    assert (run("0daa", "lm", "A", places)["ddg_kcal_mol"] != 0).mean() > 0.9
    assert "exactly 0" not in capsys.readouterr().out


def test_interface_is_the_crop_of_the_model(run: Scan, tmp_path: Path) -> None:
    found = run("0daa", "structure", "A", "interface")
    assert found["in_interface"].all()
    everything = run("0daa", "structure", "A", "all")
    assert set(found["number"]) == set(everything.loc[everything["in_interface"], "number"])


def test_one_member_has_no_spread(run: Scan) -> None:
    assert run("0dac", "alone", "A", "contacts")["ddg_sd_kcal_mol"].isna().all()


def test_chunks_do_not_change_the_numbers_and_each_mutant_is_embedded_once(
    run: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: Counter[str] = Counter()
    embed = LanguageModel.embed

    def counting(self: LanguageModel, sequences: list[str], *rest: int) -> list[np.ndarray]:
        embedded.update(sequences)
        return embed(self, sequences, *rest)

    monkeypatch.setattr(LanguageModel, "embed", counting)
    whole = run("0dac", "lm", "A", "contacts")
    monkeypatch.setattr(substitutions, "CHUNK_BYTES", 1)  # one at a time
    embedded.clear()
    single = run("0dac", "lm", "A", "contacts")
    assert np.allclose(whole["ddg_kcal_mol"], single["ddg_kcal_mol"], atol=1e-5)
    once = [text for text, times in embedded.items() if times == 1]
    assert len(once) == len(single)
    assert len(embedded) == len(single) + 2  # and the two of the wild type


def test_a_copy_that_stays_the_wild_type_is_told(run: Scan, capsys: pytest.CaptureFixture[str]) -> None:
    run("0dbq", "structure", "A", "contacts")
    assert "chain A alone; B of the complex has the same sequence and stays the wild type" in capsys.readouterr().out
    run("0dbq", "structure", "B", "contacts", all_copies=True)
    assert "each exchange stands in every copy of the chain: B, A" in capsys.readouterr().out


def test_rna_wants_its_flag_and_is_called_experimental(
    run: Scan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="--chain R is rna; scans of RNA are experimental and want --rna-scan"):
        run("0dac", "lm", "R", "contacts")
    table = run("0dac", "lm", "R", "contacts", rna_scan=True)
    assert set(table["mutant"]) == set("ACGU")
    assert (table.groupby("number").size() == 3).all()
    assert (table["ddg_kcal_mol"] != 0).all()
    assert "Substitutions of nucleotides are experimental." in capsys.readouterr().out
    assert (tmp_path / "out" / "scan.html").read_text().count("Substitutions of nucleotides are experimental.") == 1


def test_a_chain_of_another_copy_is_scanned_with_what_touches_it(
    run: Scan, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = with_copy(small_complex(root), {"A": "C", "R": "S"}, FAR_ANGSTROM)
    path = written(tmp_path / "two.cif", cif(two))
    here, there = (run(path, "structure", chain, "contacts") for chain in "AC")
    assert "scanned is two:C:S, not two:A:R" in capsys.readouterr().out
    assert np.allclose(here["ddg_kcal_mol"], there["ddg_kcal_mol"], atol=1e-4)
    with pytest.raises(InputError, match="--chain C is not of the complex, whose chains are A, R"):
        run(path, "structure", "C", "contacts", protein="A")


def test_what_is_no_scan_is_one_line_and_exit_code_2(
    root: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(entry(root, "0dac")), "--model", str(models["structure"]), "--out", str(tmp_path / "out")]
    for words, told in (
        (["--chain", "Z", "--positions", "all"], "--chain names chain Z, which is not there; the chains are A protein"),
        (["--chain", "A", "--positions", "9999"], "9999: found no 9999 in chain A, whose observed residues are"),
        (["--chain", "A", "--positions", "some"], "found 'some', expected interface, contacts, all"),
        (["--chain", "A", "--positions", "all", "--weights", "x"], "--weights: found 'x', expected NAME=FILE"),
    ):
        assert main(["scan", *given, *words]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert told in lines[0]
    assert not (tmp_path / "out").exists()


def test_the_same_scan_gives_the_same_bytes(root: Path, models: dict[str, Path], tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        out = tmp_path / "out"
        scan(entry(root, "0dac"), model=models["lm"], chain="A", positions="contacts", out=out)
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1]
    assert made[0].keys() == {"scan.csv", "scan.html", "scan.png"}
