"""Named variants: the scan's values for single ones, one mutant sequence for several, plain words for the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_model import tiny_model

from copra.cli import main
from copra.embed.language_models import LanguageModel
from copra.errors import CopraError, InputError
from copra.predict import substitutions
from copra.predict.engine import Case, Engine
from copra.predict.mutate import mutate
from copra.predict.package import read_package
from copra.predict.scan import scan
from copra.predict.variants import BadVariant, read_variant
from copra.structure.mutants import find_residue

Run = Callable[..., pd.DataFrame]


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


@pytest.fixture(scope="module")
def cases(root: Path, models: dict[str, Path]) -> dict[str, Case]:
    """0dac is A:R; 0daa has more residues than the models see; in 0dbq chains A and B have one sequence."""
    engine = Engine(read_package(models["structure"]), {}, None)
    return {pdb_id: engine.case(entry(root, pdb_id), None, None, None) for pdb_id in ("0daa", "0dac", "0dbq")}


@pytest.fixture
def run(root: Path, models: dict[str, Path], tmp_path: Path) -> Run:
    """The table of some variants, by variant."""

    def mutated(pdb_id: str, model: str, *variants: str, **options: object) -> pd.DataFrame:
        out = tmp_path / "mutations.csv"
        mutate(entry(root, pdb_id), model=models[model], mutations=list(variants), out=out, **options)
        table = pd.read_csv(out)
        assert table["variant"].tolist() == list(variants)
        return table.set_index("variant")

    return mutated


def exchange(case: Case, chain: str, node: int, letter: str = "") -> str:
    """An exchange at the chain's `node`-th residue of the interface, to a letter that is not there."""
    interface = case.interface
    rows = np.flatnonzero(interface.chain == interface.chain_ids.index(chain))
    nearest = rows[np.argsort(interface.partner_distance_angstrom[rows], kind="stable")]
    return at_place(case, chain, int(interface.polymer_index[nearest[node]]), letter)


def at_place(case: Case, chain: str, place: int, letter: str = "") -> str:
    structure = case.structure
    index = structure.chain_ids.index(chain)
    part = structure.chain_residues(index)
    row = part.start + int(np.flatnonzero(structure.arrays["polymer_index"][part] == place)[0])
    number, code = int(structure.arrays["auth_number"][row]), structure.arrays["insertion_code"][row].decode()
    assert find_residue(number, code, structure, index) == row
    wild_type = structure.sequences[index][place]
    return f"{chain}:{wild_type}{number}{code}{letter or next(x for x in 'AGC' if x != wild_type)}"


@pytest.mark.parametrize("all_copies", [False, True])
@pytest.mark.parametrize("model", ["lm", "structure"])
def test_a_single_exchange_has_the_scans_value(
    run: Run, root: Path, models: dict[str, Path], cases: dict[str, Case], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, model: str, all_copies: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("copra.predict.scan_picture.write_scan_picture", lambda *_: None)
    named = [exchange(cases["0dbq"], "A", node) for node in range(3)]
    table = run("0dbq", model, *named, all_copies=all_copies)
    where = {"model": models[model], "chain": "A", "positions": "contacts", "out": tmp_path}
    scan(entry(root, "0dbq"), **where, all_copies=all_copies)
    scanned = pd.read_csv(tmp_path / "scan.csv", keep_default_na=False)
    names = "A:" + scanned["wild_type"] + scanned["number"].astype(str) + scanned["insertion_code"] + scanned["mutant"]
    expected = scanned.set_index(names).loc[named]
    assert (expected["ddg_kcal_mol"].abs() > 1e-4).all()
    for column in ("ddg_kcal_mol", "ddg_sd_kcal_mol"):
        assert table[column].to_numpy() == pytest.approx(expected[column].to_numpy(float), abs=2e-5)
    assert (table["mutated_chains"] == ("A+B" if all_copies else "A")).all()
    assert not table["experimental"].any()


def test_the_order_of_exchanges_makes_no_difference_and_chunks_neither(
    run: Run, cases: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [exchange(cases["0dac"], "A", 0), exchange(cases["0dac"], "R", 0), exchange(cases["0dac"], "A", 1)]
    both = ["+".join(parts), "+".join(parts[::-1])]
    table = run("0dac", "lm", *both, *parts)
    ddg = table["ddg_kcal_mol"]
    assert ddg[both[0]] == pytest.approx(ddg[both[1]], abs=1e-5)
    assert (abs(ddg[parts] - ddg[both[0]]) > 1e-4).all()
    made = [read_variant(text, cases["0dac"], all_copies=False).mutant for text in both]
    assert made[0] == made[1]
    assert table.loc[both[0], ["molecules", "n_exchanges", "mutated_chains"]].tolist() == ["protein+rna", 3, "A+R"]
    monkeypatch.setattr(substitutions, "CHUNK_BYTES", 1)  # one at a time
    assert np.allclose(run("0dac", "lm", *both, *parts)["ddg_kcal_mol"], ddg, atol=1e-5)


def test_a_double_in_one_chain_embeds_one_mutant_sequence(
    run: Run, cases: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: Counter[str] = Counter()
    embed = LanguageModel.embed

    def counting(self: LanguageModel, sequences: list[str], *rest: int) -> list[np.ndarray]:
        embedded.update(sequences)
        return embed(self, sequences, *rest)

    monkeypatch.setattr(LanguageModel, "embed", counting)
    case = cases["0dac"]
    run("0dac", "lm", "+".join(exchange(case, "A", node, "W") for node in (0, 1)))
    wild_types = [text for _, text in case.sequences]
    (mutant,) = embedded.keys() - set(wild_types)
    assert embedded[mutant] == 1
    before = next(text for text in wild_types if len(text) == len(mutant))
    assert [b for a, b in zip(before, mutant, strict=True) if a != b] == ["W", "W"]


def test_rna_and_several_exchanges_are_called_experimental(
    run: Run, cases: dict[str, Case], capsys: pytest.CaptureFixture[str]
) -> None:
    protein, rna = exchange(cases["0dac"], "A", 0), exchange(cases["0dac"], "R", 0)
    double = f"{protein}+{exchange(cases['0dac'], 'A', 1)}"
    mixed = f"{protein}+{rna}"
    table = run("0dac", "structure", protein, rna, double, mixed)
    assert table["experimental"].tolist() == [False, True, True, True]
    assert (table["ddg_kcal_mol"] != 0).all()
    told = capsys.readouterr().out.splitlines()
    lines = {line.split("  ddG ")[0]: (line, after) for line, after in zip(told, [*told[1:], ""], strict=True)}
    assert lines[protein][0].endswith(" kcal/mol")
    assert lines[protein][1].startswith(rna)  # no warning
    for text, what in ((rna, "changes of RNA"), (double, "several exchanges at once")):
        assert lines[text][0].endswith("kcal/mol (experimental)")
        assert lines[text][1] == f"  ! experimental: no labelled case of {what} was there to test such numbers on"
        assert lines[text][1].removeprefix("  ! ") in table.loc[text, "warnings"]
    assert "of several exchanges at once and of changes of RNA was" in table.loc[mixed, "warnings"]


def test_what_a_structure_model_does_not_see_is_told(run: Run, cases: dict[str, Case]) -> None:
    far, near = exchange(cases["0daa"], "A", -1), exchange(cases["0daa"], "A", 0)
    both = f"{far}+{near}"
    table = run("0daa", "structure", far, near, both)
    assert table["ddg_kcal_mol"][far] == 0
    assert "the model sees none of it, so that ddG is exactly 0; that is no finding" in table["warnings"][far]
    assert table["ddg_kcal_mol"][both] == pytest.approx(table["ddg_kcal_mol"][near], abs=1e-5)
    assert f"the model does not see {far}; ddG is that of the other exchanges" in table["warnings"][both]
    assert table["unseen_exchanges"].fillna("").tolist() == [far, "", far]
    seen = run("0daa", "lm", far)  # a language model passes a change on to all residues
    assert seen["ddg_kcal_mol"][far] != 0
    assert seen["unseen_exchanges"].isna().all()


def test_one_exchange_in_every_copy_is_one_exchange(run: Run, cases: dict[str, Case]) -> None:
    one = exchange(cases["0dbq"], "A", 0)
    place = read_variant(one, cases["0dbq"], all_copies=False).exchanges[0].place
    named = f"{one}+{at_place(cases['0dbq'], 'B', place, one[-1])}"
    written = run("0dbq", "lm", named).loc[named]
    copies = run("0dbq", "lm", one, all_copies=True).loc[one]
    assert written["ddg_kcal_mol"] == pytest.approx(copies["ddg_kcal_mol"], abs=1e-5)
    assert not written["experimental"]
    assert "each exchange stands in every copy of its chain: A, B" in copies["warnings"]
    assert "B of the complex has a changed chain's sequence and stays" in run("0dbq", "lm", one)["warnings"][one]
    with pytest.raises(BadVariant, match=r"change one residue of chain [AB] twice"):
        read_variant(named, cases["0dbq"], all_copies=True)


def test_one_member_has_no_spread(run: Run, cases: dict[str, Case]) -> None:
    assert run("0dac", "alone", exchange(cases["0dac"], "A", 0))["ddg_sd_kcal_mol"].isna().all()


def test_what_is_no_variant_is_told_with_what_was_found_and_expected(cases: dict[str, Case]) -> None:
    good = exchange(cases["0dac"], "A", 0)
    right = good[2]
    wrong = next(letter for letter in "WY" if letter not in (right, good[-1]))
    for text, told in (
        (f"A:{wrong}{good[3:]}", rf"other_wild_type: found {right} \(\w+\) with number .* chain A, expected {wrong}"),
        (f"Z:{good[2:]}", "no_chain: found no chain Z in .*, which has A protein, R rna"),
        (f"{good}+{good[:-1]}W", f"bad_mutation: found {good} and {good[:-1]}W, which change one residue of chain A"),
        (f"{good}+{good}", "twice"),
        (f"{good[:2]}{right}9999A", "no_residue: found no 9999 in chain A"),
        (f"R:{good[2:-1]}W", "wrong_molecule: .* chain R, which is rna"),
        (good[2:], f"bad_mutation: found '{good[2:]}', expected .* such as A:K52A"),
        (f"{good}+", "bad_mutation: found '', expected"),
        (f"{good},{good[2:]}", "bad_mutation"),
        ("", "bad_mutation: found ''"),
    ):
        with pytest.raises(BadVariant, match=told):
            read_variant(text, cases["0dac"], all_copies=False)


def test_a_bad_variant_is_one_line_and_does_not_stop_the_rest(
    root: Path, models: dict[str, Path], cases: dict[str, Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, out = exchange(cases["0dac"], "A", 0), tmp_path / "mutations.csv"
    given = ["mutate", str(entry(root, "0dac")), "--model", str(models["structure"])]
    assert main([*given, "--mutations", "Z:K1A"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "Z:K1A: no_chain: found no chain Z" in said.err
    listed = tmp_path / "variants.tsv"
    listed.write_text(f"note\tvariant\nx\t{good}\n")
    words = ["--mutations", "Z:K1A", good, "--mutations-file", str(listed), "--out", str(out)]
    assert main([*given, *words]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "copra mutate: 1 of 3 variants failed"
    table = pd.read_csv(out)
    assert table["status"].tolist() == ["failed", "ok", "ok"]
    assert table["reason"].str.startswith("no_chain").tolist()[0]
    assert table["ddg_kcal_mol"].isna().tolist() == [True, False, False]
    assert table["ddg_kcal_mol"][1] == table["ddg_kcal_mol"][2]
    before = out.read_bytes()
    main([*given, *words])
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "not a readable text file"), ("mutation\nA:K1A\n", "the column 'variant'"), ("variant\n", "found none")],
)
def test_a_file_of_variants_without_any_is_refused(
    root: Path, models: dict[str, Path], tmp_path: Path, text: str | None, told: str
) -> None:
    path = tmp_path / "variants.tsv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CopraError, match=told):
        mutate(entry(root, "0dac"), model=models["structure"], mutations_file=path)
    with pytest.raises(InputError, match="expected variants such as --mutations A:K52A"):
        mutate(entry(root, "0dac"), model=models["structure"])
