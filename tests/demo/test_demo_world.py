from __future__ import annotations

import csv
import math
from collections import Counter
from itertools import combinations
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices
from scipy.spatial import cKDTree
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

LETTERS = "ARNDCQEGHILKMFPSTWYV"
NAMES = dict(zip(gemmi.expand_one_letter_sequence(LETTERS, gemmi.ResidueKind.AA), LETTERS, strict=True))


class Complex:
    """A labelled complex as it is read back from its file."""

    def __init__(self, demo: Path, row: dict[str, str]) -> None:
        self.row = row
        name = row["pdb_id"]
        path = demo / "archive/structures/divided/mmCIF" / name[1:3] / f"{name}.cif.gz"
        structure = gemmi.read_structure(str(path))
        structure.remove_ligands_and_waters()
        structure.remove_alternative_conformations()
        self.model = structure[0]
        self.protein, self.protein_xyz = self._residues(row["protein_chains"])
        self.rna, self.rna_xyz = self._residues(row["rna_chains"])
        self.sequences = [
            gemmi.one_letter_code([r.name for r in self.model[c]]) for c in row["protein_chains"].split(",")
        ]

    def _residues(self, chains: str) -> tuple[list[str], list[np.ndarray]]:
        residues = [residue for name in chains.split(",") for residue in self.model[name]]
        letters = [gemmi.find_tabulated_residue(residue.name).one_letter_code.upper() for residue in residues]
        return letters, [np.array([atom.pos.tolist() for atom in residue]) for residue in residues]

    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """Distance in Angstrom of each protein residue to RNA, and of each nucleotide to protein."""
        protein, rna = cKDTree(np.concatenate(self.protein_xyz)), cKDTree(np.concatenate(self.rna_xyz))
        return (
            np.array([rna.query(xyz)[0].min() for xyz in self.protein_xyz]),
            np.array([protein.query(xyz)[0].min() for xyz in self.rna_xyz]),
        )

    def terms(self) -> tuple[float, float]:
        """The law's two fractions, counted here once more, without the generator's code."""
        of_protein, of_rna = self.nearest()
        shell = [a for a, d in zip(self.protein, of_protein, strict=True) if d < 7.0]
        bases = [b for b, d in zip(self.rna, of_rna, strict=True) if d < 7.0]
        return sum(a in "KR" for a in shell) / len(shell), sum(b in "AG" for b in bases) / len(bases)


@pytest.fixture(scope="module")
def complexes(root: Path) -> list[Complex]:
    demo = root / "resources" / "demo"
    with (demo / "truth.tsv").open() as handle:
        return [Complex(demo, row) for row in csv.DictReader(handle, delimiter="\t")]


@pytest.fixture(scope="module")
def expected(complexes: list[Complex]) -> list[Complex]:
    return [c for c in complexes if c.row["expected"] == "yes"]


def labels(complexes: list[Complex]) -> np.ndarray:
    return np.array([float(c.row["label_dg_kcal_mol"]) for c in complexes])


def pcc(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_60_labelled_records_are_expected(complexes: list[Complex], expected: list[Complex]) -> None:
    assert (len(complexes), len(expected)) == (64, 60)


def test_protein_and_rna_meet_without_a_clash(complexes: list[Complex]) -> None:
    closest = {c.row["pdb_id"]: float(c.nearest()[0].min()) for c in complexes}
    assert {name: d for name, d in closest.items() if not 2.6 <= d <= 3.6} == {}


def test_every_interface_shell_is_large_enough_to_count_fractions(complexes: list[Complex]) -> None:
    for c in complexes:
        of_protein, of_rna = c.nearest()
        assert (of_protein < 7.0).sum() >= 4, c.row["pdb_id"]
        assert (of_rna < 7.0).sum() >= 3, c.row["pdb_id"]


def test_no_chain_runs_through_itself_or_another(complexes: list[Complex]) -> None:
    for c in complexes:
        atoms = [
            (i, atom.pos.tolist())
            for i, residue in enumerate(r for chain in c.model for r in chain)
            for atom in residue
        ]
        owner = np.array([i for i, _ in atoms])
        pairs = cKDTree(np.array([xyz for _, xyz in atoms])).query_pairs(1.5, output_type="ndarray")
        assert (np.abs(owner[pairs[:, 0]] - owner[pairs[:, 1]]) <= 1).all(), c.row["pdb_id"]


def test_peptide_and_phosphodiester_bonds_have_their_length(complexes: list[Complex]) -> None:
    for c in complexes:
        for chains, first, second, length in (("protein_chains", "C", "N", 1.329), ("rna_chains", "O3'", "P", 1.607)):
            for name in c.row[chains].split(","):
                for one, other in zip(list(c.model[name])[:-1], list(c.model[name])[1:], strict=True):
                    if (one.label_seq or 0) + 1 == other.label_seq:
                        distance = one[first][0].pos.dist(other[second][0].pos)
                        assert math.isclose(distance, length, abs_tol=0.01), (c.row["pdb_id"], name, str(one.seqid))


def test_residues_have_all_their_heavy_atoms_and_the_right_hand(complexes: list[Complex]) -> None:
    count = dict(zip(LETTERS, (5, 11, 8, 8, 6, 9, 9, 4, 10, 8, 8, 9, 8, 11, 7, 6, 7, 14, 12, 7), strict=True))
    for c in complexes:
        for letter, xyz in zip(c.protein, c.protein_xyz, strict=True):
            assert len(xyz) == count[letter]
        for residue in c.model[c.row["protein_chains"].split(",")[0]]:
            if residue.name != "GLY":
                n, ca, co, cb = (residue[name][0].pos for name in ("N", "CA", "C", "CB"))
                assert (n - ca).cross(co - ca).dot(cb - ca) > 0, "a D-amino acid"
        for residue in list(c.model[c.row["rna_chains"].split(",")[0]])[1:]:
            assert len(residue) == {"A": 22, "G": 23, "C": 20, "U": 20, "PSU": 20}[residue.name]
            chi = [residue[a][0].pos for a in ("C5'", "C4'", "C3'", "O3'")]
            assert abs(math.degrees(gemmi.calculate_dihedral(*chi)) - 82) < 2


def test_paired_strands_pair(complexes: list[Complex]) -> None:
    paired = [c for c in complexes if "," in c.row["rna_chains"]]
    assert len(paired) >= 8
    for c in paired:
        one, other = (list(c.model[name]) for name in c.row["rna_chains"].split(","))
        for a, b in zip(one, reversed(other), strict=True):
            ends = [r["N1" if r.name in "AG" else "N3"][0].pos for r in (a, b)]
            assert 2.7 < ends[0].dist(ends[1]) < 3.1


def test_families_are_alike_and_differ_from_each_other(complexes: list[Complex]) -> None:
    aligner = PairwiseAligner(mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"))
    aligner.open_gap_score, aligner.extend_gap_score = -11, -1

    def identity(a: str, b: str) -> float:
        alignment = aligner.align(a, b)[0]
        same = sum(x == y for x, y in zip(alignment[0], alignment[1], strict=True))
        return float(same) / min(len(a), len(b))

    first: dict[str, list[str]] = {}
    for c in complexes:
        first.setdefault(c.row["family"], []).append(c.sequences[0])
    assert len(first) == 20
    assert {len(members) for members in first.values()} == {2, 3, 4}
    within = [identity(a, b) for members in first.values() for a, b in combinations(members, 2)]
    assert min(within) >= 0.8
    assert max(within) < 1.0
    assert max(identity(a[0], b[0]) for a, b in combinations(first.values(), 2)) < 0.5


def test_the_labels_follow_the_law_up_to_the_stated_noise(complexes: list[Complex]) -> None:
    for c in complexes:
        positive, purine = c.terms()
        law = -9.2 - 1.35 * (positive - 0.35) / 0.22 - 0.75 * (purine - 0.5) / 0.22
        assert float(c.row["law_dg_kcal_mol"]) == pytest.approx(min(max(law, -12.9), -5.6), abs=1e-3)
    noise = np.array([float(c.row["noise_kcal_mol"]) for c in complexes])
    assert abs(noise.mean()) < 0.15
    assert 0.3 < noise.std() < 0.5
    assert labels(complexes).min() > -13.0
    assert labels(complexes).max() < -5.5


def test_labels_vary_within_and_between_families(expected: list[Complex]) -> None:
    groups: dict[str, list[float]] = {}
    for c in expected:
        groups.setdefault(c.row["family"], []).append(float(c.row["label_dg_kcal_mol"]))
    assert np.mean([np.std(v, ddof=1) for v in groups.values() if len(v) > 1]) > 1.0
    assert np.std([np.mean(v) for v in groups.values()]) > 0.5


def test_a_line_through_the_law_terms_reaches_the_ceiling_of_the_readme(expected: list[Complex], root: Path) -> None:
    ceiling = pcc(np.array([float(c.row["law_dg_kcal_mol"]) for c in expected]), labels(expected))
    fitted = LinearRegression().fit([c.terms() for c in expected], labels(expected))
    assert pcc(fitted.predict([c.terms() for c in expected]), labels(expected)) == pytest.approx(ceiling, abs=0.01)
    assert f"ceiling: PCC {ceiling:.3f}" in (root / "resources/demo/README.md").read_text()


def test_lengths_and_composition_do_not_tell_the_label(expected: list[Complex]) -> None:
    features = []
    for c in expected:
        protein, rna = Counter(c.protein), Counter(c.rna)
        shares = [protein[a] / len(c.protein) for a in LETTERS] + [rna[b] / len(c.rna) for b in "ACGU"]
        features.append([len(c.protein), len(c.rna), *shares])
    forest = RandomForestRegressor(100, min_samples_leaf=3, max_features=0.5, random_state=0)
    families = [c.row["family"] for c in expected]
    predicted = cross_val_predict(forest, features, labels(expected), groups=families, cv=LeaveOneGroupOut())
    assert pcc(predicted, labels(expected)) < 0.4
