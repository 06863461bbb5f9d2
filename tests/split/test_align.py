from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_rows import mutated, random_protein, write_records

from copra.config_file import load_config
from copra.config_split import PairAlignment
from copra.errors import InputError
from copra.split.align import align_sequences
from copra.split.pairwise import align, identity_of, make_aligner
from copra.tables import read_table


@pytest.fixture(scope="module")
def settings(root: Path) -> PairAlignment:
    return load_config(root / "config.yaml").split.alignment


# Each case is aligned by hand; BLOSUM62: A:A 4, C:C 9, D:D 6, E:E 5, W:W 11, K:K 5, W:A -3; gap 11, then 1
# per further residue. NUC.4.4: match 5, mismatch -4, gap 10, then 0.5.
@pytest.mark.parametrize(
    ("molecule", "one", "other", "n_aligned", "n_identical", "score"),
    [
        ("protein", "WWWW", "WWWW" + "G" * 10, 4, 4, 44),
        ("protein", "WWWWAWWWW", "WWWWKWWWW", 9, 8, 8 * 11 - 1),  # A:K is -1
        ("protein", "CCCCCCDDDDDD", "CCCCCCGGGDDDDDD", 12, 12, 6 * 9 + 6 * 6 - 11 - 2),  # a gap of three
        ("protein", "CCCCXCCCC", "CCCCXCCCC"[::-1] + "W", 9, 8, 8 * 9 - 1),  # X aligned with X is identical to nothing
        ("protein", "WWWW", "AAAA", 0, 0, 0),  # nothing scores above zero
        ("rna", "ACGUACGU", "GG" + "ACGUACGU", 8, 8, 40),
        ("rna", "UUUUUCUUUUU", "UUUUUAUUUUU", 11, 10, 10 * 5 - 4),
        ("rna", "AAAAACCCCC", "AAAAAGGCCCCC", 10, 10, 50 - 10 - 0.5),  # a gap of two
    ],
)
def test_alignments_computed_by_hand(
    settings: PairAlignment, molecule: str, one: str, other: str, n_aligned: int, n_identical: int, score: float
) -> None:
    scoring = getattr(settings, molecule)
    for a, b in ((one, other), (other, one)):
        match = align(a, b, molecule, make_aligner(scoring), scoring.min_aligned)
        assert (match.n_aligned, match.n_identical, match.score) == (n_aligned, n_identical, score)


def test_identity_is_over_the_shorter_chain_and_over_the_longer_where_few_residues_are_aligned() -> None:
    assert identity_of(20, 25, 25, 500, min_aligned=25) == 0.8
    assert identity_of(20, 24, 25, 500, min_aligned=25) == 0.04
    assert identity_of(4, 4, 4, 5, min_aligned=25) == 0.8  # short but of like length
    assert identity_of(4, 4, 4, 70, min_aligned=25) == pytest.approx(4 / 70)  # found in almost any RNA
    assert identity_of(70, 230, 230, 100, min_aligned=25) == 0.7


@given(one=st.text("ACGUN", min_size=1, max_size=40), other=st.text("ACGUN", min_size=1, max_size=40))
def test_identity_is_a_fraction_and_one_for_the_same_sequence(settings: PairAlignment, one: str, other: str) -> None:
    aligner = make_aligner(settings.rna)
    match = align(one, other, "rna", aligner, settings.rna.min_aligned)
    assert 0 <= match.n_identical <= match.n_aligned <= min(len(one), len(other))
    assert 0 <= match.identity <= 1
    assert (match.identity == 1) == (one == other) or match.n_aligned >= settings.rna.min_aligned
    assert align(one, one, "rna", aligner, settings.rna.min_aligned).identity == 1


def test_letters_beyond_the_alphabet_count_as_unknown(settings: PairAlignment) -> None:
    aligner = make_aligner(settings.protein)
    assert align("WWWWUWWWW", "WWWWOWWWWA", "protein", aligner, 5).n_identical == 8


def test_every_pair_is_there_once_for_any_number_of_threads_and_order(tmp_path: Path, settings: PairAlignment) -> None:
    generator = np.random.default_rng(1)
    base = random_protein(60, generator)
    proteins = {f"{i}abc:A:B": [mutated(base, 0.1 * i, generator), "ACD"] for i in range(6)}
    rna = {record: ["U" * (i + 1), "GG"] for i, record in enumerate(proteins)}  # from 1 nucleotide
    forward = write_records(tmp_path / "r", proteins, rna=rna)
    align_sequences(forward, settings=settings, threads=1, out=tmp_path / "one")
    align_sequences(forward, settings=settings, threads=2, out=tmp_path / "two")
    backward = write_records(tmp_path / "b", dict(reversed(proteins.items())), rna=rna)
    align_sequences(backward, settings=settings, threads=1, out=tmp_path / "three")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()
    pairs = read_table(tmp_path / "one", "identities")
    assert dict(pairs.groupby("molecule_type").size()) == {"protein": 7 * 6 // 2, "rna": 7 * 6 // 2}
    assert (pairs["sequence_a"] < pairs["sequence_b"]).all()


def test_a_single_sequence_has_no_pairs(tmp_path: Path, settings: PairAlignment) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]})
    align_sequences(records, settings=settings, threads=2, out=tmp_path / "i")
    assert read_table(tmp_path / "i", "identities").empty


def test_a_record_without_rna_is_named(tmp_path: Path, settings: PairAlignment) -> None:
    records = write_records(tmp_path / "r", {"1abc:A:B": ["ACD"]}, rna={"1abc:A:B": [""]})
    with pytest.raises(InputError, match="1abc:A:B: expected one rna sequence"):
        align_sequences(records, settings=settings, threads=1, out=tmp_path / "i")
