from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sample_results

from copra.embed.sequences import list_sequences
from copra.errors import InputError
from copra.files import sha256_of_text
from copra.tables import read_table, write_table

CHAINS = [("protein", "MKLV"), ("protein", "GGGG"), ("rna", "ACGU"), ("hybrid", "GGUU"), ("protein", "WWWW")]


def mutant(name: str, wildtype: str, changed: str, molecule_type: str = "protein") -> dict[str, Any]:
    """A row of the table `mutants`."""
    keys = {"wildtype_sha256": sha256_of_text(wildtype), "mutant_sha256": sha256_of_text(changed)}
    said = {"mutation_id": name, "molecule_type": molecule_type, "mutant_sequence": changed}
    return sample_results.fill("mutants", **said, **keys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run of one record and one pair."""
    chains = [
        sample_results.fill(
            "chains", pdb_id="1syn", chain=str(i), molecule_type=kind, sequence=text,
            sequence_sha256=sha256_of_text(text),
        )
        for i, (kind, text) in enumerate(CHAINS)
    ]  # fmt: skip
    keys = {"protein_sha256": sha256_of_text("MKLV"), "rna_sha256": sha256_of_text("ACGU")}
    sample_results.put(tmp_path / "chains.parquet", "chains", chains)
    sample_results.put(tmp_path / "records.parquet", "records", [sample_results.fill("records", record_id="r", **keys)])
    sample_results.put(tmp_path / "pri30k.parquet", "pri30k", [sample_results.fill("pri30k", pair_id="p", **keys)])
    return tmp_path


def listed(place: Path, mutants: list[dict[str, Any]] | None, shards: int = 4) -> pd.DataFrame:
    """The table of sequences; without the flag where `mutants` is None."""
    path = None
    if mutants is not None:
        path = place / "mutants.parquet"
        sample_results.put(path, "mutants", mutants)
    list_sequences(
        place / "chains.parquet", records=place / "records.parquet", pri30k=place / "pri30k.parquet", mutants=path,
        shards=shards, out=place / "sequences.parquet",
    )  # fmt: skip
    return read_table(place / "sequences.parquet", "sequences")


def test_mutants_and_their_wild_types_are_sequences_like_others(place: Path) -> None:
    rows = [
        mutant("a:1", "MKLV", "MALV"),
        mutant("b:7", "MKLV", "MALV"),  # two sources state the same mutant
        mutant("a:2", "GGGG", "GAGG"),
        mutant("a:3", "GGUU", "GGAU", "rna"),
        mutant("a:4", "WWWW", "MKLV"),  # a mutant may be another chain's wild type
    ]
    table = listed(place, rows)
    assert sorted(zip(table["molecule_type"], table["sequence"], strict=True)) == [
        ("protein", "GAGG"), ("protein", "GGGG"), ("protein", "MALV"), ("protein", "MKLV"), ("protein", "WWWW"),
        ("rna", "ACGU"), ("rna", "GGAU"), ("rna", "GGUU"),
    ]  # fmt: skip
    assert table["sequence_sha256"].tolist() == [sha256_of_text(text) for text in table["sequence"]]
    assert (table["n_residues"] == 4).all()
    assert table["shard"].tolist() == [int(key[:8], 16) % 4 for key in table["sequence_sha256"]]


def test_with_a_mutant_goes_every_protein_and_rna_chain_of_its_entry(place: Path) -> None:
    chains = read_table(place / "chains.parquet", "chains")
    dna = chains.iloc[[0]].assign(chain="d", molecule_type="dna", sequence="AC", sequence_sha256=sha256_of_text("AC"))
    other = chains.iloc[[0]].assign(pdb_id="2syn", sequence="VV", sequence_sha256=sha256_of_text("VV"))
    write_table(pd.concat([chains, dna, other]), place / "chains.parquet", "chains")
    table = listed(place, [mutant("a:1", "MKLV", "MALV") | {"pdb_id": "1syn"}])
    assert set(table["sequence"]) == {text for _, text in CHAINS} | {"MALV"}


def test_mutants_move_no_other_sequence(place: Path) -> None:
    plain = listed(place, None)
    assert listed(place, []).equals(plain)
    more = listed(place, [mutant("a:1", "GGGG", "GAGG")])
    assert more[more["sequence_sha256"].isin(plain["sequence_sha256"])].reset_index(drop=True).equals(plain)


def test_a_mutant_of_no_chain_is_refused(place: Path) -> None:
    with pytest.raises(InputError, match=r"1 sequences are of no chain.*\n.*mutants\.parquet: a:1: protein sequence"):
        listed(place, [mutant("a:1", "YYYY", "YAYY")])
