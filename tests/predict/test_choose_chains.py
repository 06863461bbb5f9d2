"""Which chains of a file become the complex, what is said of the choice, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import pandas as pd
import pytest
from small_complex import FAR_ANGSTROM, cif, pdb_lines, small_complex, with_copy, written

from copra.errors import InputError
from copra.predict.cautions import ComplexLimits
from copra.predict.chains import choose_complex
from copra.predict.inputs import open_structure
from copra.predict.result import ChosenComplex

CUTOFF_ANGSTROM = 5.0
LIMITS = ComplexLimits(5, 3, 3, 1500, 160, 256)
Chooser = Callable[..., ChosenComplex]


@pytest.fixture(scope="module")
def complex_(root: Path) -> gemmi.Structure:
    return small_complex(root)


@pytest.fixture
def choose(tmp_path: Path) -> Chooser:
    """Writes a structure, as mmCIF or as bare lines, and chooses."""

    def run(
        content: gemmi.Structure | list[str],
        protein: list[str] | None = None,
        rna: list[str] | None = None,
        limits: ComplexLimits = LIMITS,
    ) -> ChosenComplex:
        path = written(tmp_path / "x.cif", cif(content) if isinstance(content, gemmi.Structure) else content)
        structure, _, _ = open_structure(path)
        return choose_complex(structure, path, protein, rna, CUTOFF_ANGSTROM, limits)

    return run


def sides(chosen: ChosenComplex) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return chosen.protein_chains, chosen.rna_chains


def moved(structure: gemmi.Structure, chain: str, shift_angstrom: float) -> gemmi.Structure:
    out = structure.clone()
    for residue in out[0][chain]:
        for atom in residue:
            atom.pos.y += shift_angstrom
    return out


def test_the_chains_in_contact(choose: Chooser, complex_: gemmi.Structure) -> None:
    chosen = choose(complex_)
    assert sides(chosen) == (("A",), ("R",))
    assert chosen.complex_id == "x:A:R"
    assert chosen.other_copies == ()
    assert chosen.warnings == ()
    assert chosen.reason == "A:R are the protein and RNA chains in contact (11 residue pairs within 5 angstrom)"


def test_equal_copies_first_of_the_file(choose: Chooser, complex_: gemmi.Structure) -> None:
    chosen = choose(with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM))
    assert sides(chosen) == (("A",), ("R",))
    assert chosen.other_copies == ((("C",), ("B",)),)
    assert chosen.reason.startswith("one of 2 equal copies: A:R")
    assert "first in the file" in chosen.reason
    assert not any("other complexes" in told for told in chosen.warnings)


def test_equal_copies_most_contacts(choose: Chooser, complex_: gemmi.Structure) -> None:
    twice = with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM)
    fewer = twice.clone()  # the full sequence stays that of SEQRES
    at = interface_numbers(complex_, "R")[0]
    del fewer[0]["R"][[residue.seqid.num for residue in fewer[0]["R"]].index(at)]
    chosen = choose(fewer)
    assert sides(chosen) == (("C",), ("B",))
    assert chosen.other_copies == ((("A",), ("R",)),)


def test_copies_of_observed_sequences(choose: Chooser, complex_: gemmi.Structure) -> None:
    """Bare records: one copy lacks residues inside and at the end, and is a copy all the same."""
    lines = pdb_lines(with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM))
    unseen = {("C", n) for n in (1, 2, 30, 31)} | {("B", 1)}
    kept = [line for line in lines if (line[21], int(line[22:26] or 0)) not in unseen]
    assert len(choose(kept).other_copies) == 1
    other = [line[:17] + "GLY" + line[20:] if line[21] == "C" else line for line in kept]
    chosen = choose(other)
    assert chosen.other_copies == ()
    assert "the file holds other complexes too: C:B" in chosen.warnings[0]


def test_different_complexes_are_told(choose: Chooser, complex_: gemmi.Structure) -> None:
    both = with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM)
    three = with_copy(both, {"A": "D"}, FAR_ANGSTROM)  # D lies on C
    for residue in three[0]["D"]:
        for atom in residue:
            atom.pos.x += 0.4
    chosen = choose(three)
    assert sides(chosen) == (("C", "D"), ("B",))
    assert "it has more contacts than 1 other complex of the file" in chosen.reason
    assert "the file holds other complexes too: A:R (11); name chains" in chosen.warnings[0]


def test_names_are_kept(choose: Chooser, complex_: gemmi.Structure) -> None:
    twice = with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM)
    assert sides(choose(twice, ["C"], ["B"])) == (("C",), ("B",))
    assert sides(choose(twice, ["C", "C"], None)) == (("C",), ("B",))
    assert sides(choose(twice, None, ["R"])) == (("A",), ("R",))
    chosen = choose(twice, ["A", "C"], ["R"])
    assert sides(chosen) == (("A", "C"), ("R",))
    assert chosen.warnings[0].startswith("chain C touches none of the RNA chains: the nearest is ")


@pytest.mark.parametrize(
    ("protein", "rna", "found"),
    [
        (["Q"], ["R"], "--protein names chain Q, which is not there; the chains are A protein, R rna"),
        (["a"], None, "--protein names chain a, which is not there"),
        (["R"], None, "--protein expects protein chains, found chain R, which is rna"),
        (["A"], ["A"], "--rna expects RNA chains, found chain A, which is protein"),
        (["A"], ["R", "Z"], "--rna names chain Z"),
    ],
)
def test_wrong_names(
    choose: Chooser, complex_: gemmi.Structure, protein: list[str], rna: list[str] | None, found: str
) -> None:
    with pytest.raises(InputError) as told:
        choose(complex_, protein, rna)
    assert found in str(told.value)
    assert "x.cif: " in str(told.value)
    assert "\n" not in str(told.value)


def test_label_id_is_explained(choose: Chooser, complex_: gemmi.Structure) -> None:
    renamed = complex_.clone()
    renamed[0]["R"].name = "Q"
    label = renamed[0]["Q"][0].subchain
    with pytest.raises(InputError, match=f"{label} is a label id; its author id is Q"):
        choose(renamed, None, [label])


def test_chains_that_do_not_touch(choose: Chooser, complex_: gemmi.Structure) -> None:
    apart = moved(complex_, "R", FAR_ANGSTROM)
    for names in ((None, None), (["A"], ["R"]), (["A"], None)):
        with pytest.raises(InputError, match=r"expected chains that touch .* found 1\d\d\.\d angstrom between"):
            choose(apart, *names)
    twice = with_copy(complex_, {"A": "C", "R": "B"}, FAR_ANGSTROM)
    with pytest.raises(InputError, match=r"chains that do: A:R \(11\), C:B \(11\)"):
        choose(twice, ["A"], ["B"])


def test_loose_copy_is_packing(choose: Chooser, complex_: gemmi.Structure) -> None:
    """A second copy of the protein that touches the RNA of the first by a few residues is left out."""
    for shift in range(8, 60, 2):
        both = with_copy(complex_, {"A": "C"}, float(shift))
        chosen = choose(both, None, ["R"])
        if "protein chain C touches too and was left out as packing" in chosen.warnings:
            break
    else:
        pytest.fail("no place found where the copy touches a little")
    assert sides(chosen) == (("A",), ("R",))
    assert sides(choose(both)) == (("A",), ("R",))
    assert sides(choose(both, ["A", "C"], ["R"])) == (("A", "C"), ("R",))


def test_large_assembly_asks_for_names(choose: Chooser, complex_: gemmi.Structure) -> None:
    small = replace(LIMITS, max_protein_chains=1, max_rna_chains=1, interface_nodes=10)
    assert "residues touch; the model sees the 10 nearest" in choose(complex_, limits=small).warnings[0]
    both = with_copy(complex_, {"A": "C"}, 0.4)
    with pytest.raises(InputError, match=r"name the chains with --protein and --rna; the largest contacts are [AC]:R"):
        choose(both, limits=small)
    told = choose(both, ["A", "C"], ["R"], small).warnings
    assert "2 protein chains, and no training record has more than 1" in told
    wide = replace(small, interface_nodes=256)
    assert sides(choose(both, limits=wide)) == (("A", "C"), ("R",))


def test_overlap_is_told(choose: Chooser, complex_: gemmi.Structure) -> None:
    clashing = complex_.clone()
    to = clashing[0]["A"][interface_numbers(complex_, "A")[0]]["CA"][0].pos
    nucleotide = next(r for r in clashing[0]["R"] if r.seqid.num == interface_numbers(complex_, "R")[0])
    shift = to - nucleotide["C4'"][0].pos
    for residue in clashing[0]["R"]:
        for atom in residue:
            atom.pos += shift
    assert any("protein and RNA overlap" in told for told in choose(clashing).warnings)


def renamed_residue(lines: list[str], chain: str, number: int, name: str) -> list[str]:
    return [
        f"{line[:17]}{name:>3}{line[20:]}" if line[21] == chain and line[22:26].strip() == str(number) else line
        for line in lines
    ]


def interface_numbers(complex_: gemmi.Structure, chain: str) -> list[int]:
    other = {"A": "R", "R": "A"}[chain]
    search = gemmi.NeighborSearch(complex_[0], gemmi.UnitCell(), CUTOFF_ANGSTROM).populate(include_h=False)
    return sorted({
        residue.seqid.num
        for residue in complex_[0][chain] for atom in residue if not atom.is_hydrogen()
        for mark in search.find_atoms(atom.pos, "\0", radius=CUTOFF_ANGSTROM - 0.01)
        if mark.to_cra(complex_[0]).chain.name == other
    })  # fmt: skip


def test_modified_residue_and_gap_at_the_interface(choose: Chooser, complex_: gemmi.Structure) -> None:
    lines = pdb_lines(complex_)
    at = interface_numbers(complex_, "R")[0]
    told = choose(renamed_residue(lines, "R", at, "PSU")).warnings
    assert told == ("1 modified residue at the interface, read as the parent: 1 PSU",)
    number = interface_numbers(complex_, "A")[1]
    gap = [line for line in lines if not (line[21] == "A" and line[22:26].strip() in (str(number + 1),))]
    assert any(f"without coordinates near the other molecule: chain A {number}" in t for t in choose(gap).warnings)


def test_missing_hydroxyls_are_told(choose: Chooser, complex_: gemmi.Structure) -> None:
    at = interface_numbers(complex_, "R")[0]
    place = ("R", str(at), "O2'")
    lines = [
        line for line in pdb_lines(complex_) if (line[21], line[22:26].strip(), line[12:16].strip()) != place
    ]  # fmt: skip
    assert choose(lines).warnings == ("1 nucleotide named as RNA without O2', as in DNA",)


@pytest.mark.parametrize(("inside", "told"), [(50.0, True), (90.0, False)])
def test_low_confidence_at_the_interface(choose: Chooser, complex_: gemmi.Structure, inside: float, told: bool) -> None:
    """Only the residues that touch count: the rest has the opposite value."""
    predicted = complex_.clone()
    near = {name: interface_numbers(complex_, name) for name in "AR"}
    for chain in predicted[0]:
        for residue in chain:
            for atom in residue:
                atom.b_iso = inside if residue.seqid.num in near[chain.name] else 140 - inside
    chosen = choose(pdb_lines(predicted))
    assert any(f"mean pLDDT {inside:.0f} over" in warning for warning in chosen.warnings) is told
    assert any("pLDDT" in warning for warning in chosen.warnings) is told


def test_real_copies_and_labels(shared: Path) -> None:
    """Chosen chains are those of the published labels, or copies of them, in more than nine of ten entries."""
    labels = pd.read_csv(shared / "data" / "labels" / "pra310.csv", dtype=str)
    folder = shared / "data" / "structures"
    here = {path.name[:4]: path for path in sorted(folder.iterdir())}
    agree, seen = 0, 0
    rows = labels[["PDB", "Protein chains", "RNA chains"]].itertuples(index=False, name=None)
    for pdb_id, protein, rna in [row for row in rows if row[0].lower() in here][::4]:
        path = here[pdb_id.lower()]
        structure, _, _ = open_structure(path, 1)
        chosen = choose_complex(structure, path, None, None, CUTOFF_ANGSTROM, LIMITS)
        wanted = ({*protein.split(",")}, {*rna.split(",")})
        agree += any((set(p), set(r)) == wanted for p, r in (sides(chosen), *chosen.other_copies))
        seen += 1
    assert seen > 40
    assert agree > 0.9 * seen


@pytest.mark.parametrize(
    ("pdb_id", "chosen", "n_copies"),
    [
        ("2zzn", (("A",), ("C",)), 1),  # joined by weak contacts only
        ("1asy", (("A",), ("R",)), 1),
        ("4erd", (("A", "B"), ("C", "D")), 0),
        ("3eqt", (("A", "B"), ("C", "D")), 0),  # joined by weak contacts and the duplex of C and D
        ("4u8t", (("A", "D"), ("O", "T")), 2),
        ("3r2c", (("B", "K"), ("S",)), 1),  # K touches by two residue pairs and is no copy of B
    ],
)
def test_real_crystals(shared: Path, pdb_id: str, chosen: tuple[tuple[str, ...], ...], n_copies: int) -> None:
    (path,) = (shared / "data" / "structures").glob(f"{pdb_id}.*")
    structure, _, _ = open_structure(path, 1)
    found = choose_complex(structure, path, None, None, CUTOFF_ANGSTROM, LIMITS)
    assert sides(found) == chosen
    assert len(found.other_copies) == n_copies
