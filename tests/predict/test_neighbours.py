"""The nearest training complexes are those that aligning everything finds, with the split families' identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from predict_world import CONFIG, PredictWorld

from copra.files import sha256_of_text
from copra.predict.neighbours import TrainingSet, identity_bound
from copra.predict.package import read_package
from copra.split.align import align_sequences
from copra.split.pairwise import align, make_aligner
from copra.tables import read_table

PROTEIN = "ARNDCQEGHILKMFPSTWYV"


def mutated(sequence: str, part: float, generator: np.random.Generator) -> str:
    letters = np.array(list(sequence))
    changed = generator.random(len(letters)) < part
    letters[changed] = generator.choice(list(PROTEIN), int(changed.sum()))
    return "".join(letters)


@pytest.fixture(scope="module")
def training(packages: dict[str, Path]) -> TrainingSet:
    return TrainingSet(read_package(packages["structure"]))


def exhaustive(training: TrainingSet, proteins: list[str]) -> list[float]:
    """The identity of each record's most alike protein chain, all aligned, the largest first."""
    scoring = CONFIG.split.alignment.protein
    aligner = make_aligner(scoring)
    found = []
    for record in training.records:
        pairs = [sorted((a, b), key=sha256_of_text) for a in proteins for b in record.proteins]
        found.append(max(align(a, b, "protein", aligner, scoring.min_aligned).identity for a, b in pairs))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_nearest_is_what_aligning_everything_finds(training: TrainingSet, part: float) -> None:
    generator = np.random.default_rng(round(10 * part))
    for record in training.records[::5]:
        proteins = [mutated(text, part, generator) for text in record.proteins]
        found = training.nearest(proteins, list(record.rnas), 3)
        assert [n.protein_identity for n in found] == exhaustive(training, proteins)[:3]


def test_the_identity_is_that_of_the_split_families(training: TrainingSet, trained: PredictWorld) -> None:
    out = trained.folder / "identities.parquet"
    align_sequences(trained.folder / "records.parquet", settings=CONFIG.split.alignment, threads=1, out=out)
    table = read_table(out, "identities")
    known = {frozenset((r.sequence_a, r.sequence_b)): r.identity for r in table.itertuples()}
    query = training.records[3]
    for near in training.nearest(list(query.proteins), list(query.rnas), 6)[1:]:
        for mine, others, identity in (
            (query.proteins, near.record.proteins, near.protein_identity),
            (query.rnas, near.record.rnas, near.rna_identity),
        ):
            pairs = [(sha256_of_text(a), sha256_of_text(b)) for a in mine for b in others]
            assert identity == max(1.0 if a == b else known[frozenset((a, b))] for a, b in pairs)


def test_itself_comes_first_and_is_found_as_the_same(training: TrainingSet) -> None:
    record = training.records[0]
    (first,) = training.nearest(list(record.proteins), list(record.rnas), 1)
    assert (first.record, first.protein_identity, first.rna_identity) == (record, 1.0, 1.0)
    assert training.same(list(record.proteins)[::-1], list(record.rnas)) == [record]
    assert training.same([*record.proteins, "MK"], list(record.rnas)) == []


def test_the_bound_is_never_below_the_identity() -> None:
    generator = np.random.default_rng(3)
    scoring = CONFIG.split.alignment.protein
    aligner = make_aligner(scoring)
    for _ in range(60):
        one = "".join(generator.choice(list(PROTEIN + "X"), int(generator.integers(1, 80))))
        other = mutated(one, generator.random(), generator)[int(generator.integers(0, len(one))) :] + one[:5]
        assert identity_bound(one, other) >= align(one, other, "protein", aligner, scoring.min_aligned).identity
    assert identity_bound("ACGT", "AGTT") == 0.75
    assert identity_bound("AAAA", "CCCCC") == 0.0
