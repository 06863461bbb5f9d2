from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from split_rows import mutated, random_protein

from copra.errors import CopraError, InputError
from copra.files import sha256_of_text
from copra.split import cd_hit
from copra.split.clusters import link_records, name_clusters

needs_cd_hit = pytest.mark.skipif(shutil.which("cd-hit-2d") is None, reason="the programs of CD-HIT are not installed")


@needs_cd_hit
def test_a_long_gap_does_not_part_relatives() -> None:
    whole = random_protein(300, np.random.default_rng(3))
    gapped = whole[:100] + whole[150:]
    assert len(cd_hit.cluster_sequences({"whole": whole, "gapped": gapped}, 0.7, 1)) == 1


@needs_cd_hit
@pytest.mark.parametrize("identity", [0.4, 0.5, 0.6, 0.7, 0.9, 1.0])
def test_every_sequence_of_every_length_comes_back(identity: float) -> None:
    generator = np.random.default_rng(4)
    sequences = {str(n): random_protein(n, generator) for n in range(1, 40)} | {"unknown": "X" * 30}
    groups = cd_hit.cluster_sequences(sequences, identity, 1)
    assert sorted(key for group in groups for key in group) == sorted(sequences)


@needs_cd_hit
def test_relatives_are_found_whichever_is_longer() -> None:
    generator = np.random.default_rng(5)
    tested = {"long": random_protein(300, generator), "short": random_protein(60, generator), "peptide": "ACD"}
    found = {
        "fragment": tested["long"][100:200],
        "longer": random_protein(200, generator) + mutated(tested["short"], 0.2, generator) + "G" * 100,
        "same_length": mutated(tested["short"], 0.25, generator),
        "long": tested["long"],  # the same sequence, under the key that it has on the other side
        "same_peptide": "ACD",
    }
    other = {"stranger": random_protein(300, generator), "too_far": mutated(tested["long"], 0.45, generator), "g": "GG"}
    for threads in (1, 2):
        assert cd_hit.relatives(found | other, tested, 0.7, threads) == set(found)


@needs_cd_hit
def test_cd_hit_2ds_own_defaults_would_miss_longer_relatives(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(6)
    domain = random_protein(80, generator)
    longer = {"longer": random_protein(200, generator) + domain}
    assert cd_hit.relatives(longer, {"domain": domain}, 0.7, 1) == {"longer"}
    monkeypatch.setattr(cd_hit, "COMPARE_FLAGS", cd_hit.SHARED_FLAGS)
    assert cd_hit.relatives(longer, {"domain": domain}, 0.7, 1) == set()


def test_no_tested_sequence_has_no_relatives() -> None:
    assert cd_hit.relatives({"a": "ACDEFGHIKL"}, {}, 0.7, 1) == set()


def test_a_missing_program_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CopraError, match=r"'cd-hit' is not on PATH.*apt-get install cd-hit"):
        cd_hit.cluster_sequences({"a": "ACDEFGHIKL"}, 0.7, 1)
    with pytest.raises(CopraError, match="'cd-hit-2d' is not on PATH"):
        cd_hit.relatives({"a": "ACDEFGHIKL"}, {"b": "ACDEFGHIKK"}, 0.7, 1)


def test_a_lost_sequence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cd_hit, "run_cd_hit", lambda sequences, *rest: [["a"]])
    with pytest.raises(CopraError, match="'b'"):
        cd_hit.cluster_sequences({"a": "ACDEFGHIKL", "b": "GGGGGGGG"}, 0.7, 1)


@needs_cd_hit
def test_a_sequence_that_cd_hit_2d_drops_is_an_error() -> None:
    sequences = {"a": "ACDEFGHIKL", "b": "GGG"}  # shorter than the word
    with pytest.raises(CopraError, match="'b'"):
        cd_hit.run_cd_hit_2d(sequences, {"c": "ACDEFGHIKK"}, 0.7, 5, 1)


def test_identity_below_cd_hits_range() -> None:
    with pytest.raises(InputError, match=r"0\.4 or more"):
        cd_hit.word_length(0.3)


@needs_cd_hit
def test_published_relatives_that_cd_hits_own_band_parts(shared: Path) -> None:
    table = pd.read_csv(shared / "data/labels/pra310.csv", dtype=str)
    sequences: dict[str, list[str]] = {}
    for pdb_id, text in zip(table["PDB"], table["Protein sequences"], strict=True):
        sequences[pdb_id] = [part.split(":")[-1].replace("_", "X") for part in text.replace(";", ",").split(",")]
    by_key = {sha256_of_text(s): s for chains in sequences.values() for s in chains}
    cluster = name_clusters(cd_hit.cluster_sequences(by_key, 0.7, 1))
    linked = link_records({p: [cluster[sha256_of_text(s)] for s in chains] for p, chains in sequences.items()})
    assert len(linked) == 310
    for a, b in (("5F98", "5F9F"), ("5F98", "3LRN"), ("5YKI", "1M8W"), ("2YH1", "2G4B")):
        assert linked[a] == linked[b]
