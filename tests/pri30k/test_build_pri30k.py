"""Which pairs the build keeps, and the reason of each that it leaves out."""

from __future__ import annotations

import gzip
import json
import logging
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from copra.config import Pri30k
from copra.files import sha256_of_file
from copra.parse.biolip2 import parse_biolip2
from copra.pri30k.build import build_pri30k
from copra.pri30k.graph import component_ranks
from copra.pri30k.pairs import KEY
from copra.tables import read_table

TWO_COPIES = "A=protein:MKA B=protein:MKB C=protein:MKC a=protein:MKa R=rna:GGA r=rna:GGC"


def test_of_an_entry_the_largest_connected_group_of_chains_stays(bench: Any) -> None:
    bench.entry("1abc", TWO_COPIES)
    bench.pairs("pairs", "1abc:A:R:5 1abc:B:R:5 1abc:a:r:9 1abc:C:R:2")
    kept, told, table = bench.build(variant="component")
    assert kept == ["1abc:A:R", "1abc:B:R", "1abc:C:R"]
    assert told == {"1abc:a:r": "not_in_largest_component"}
    assert set(table["origin"]) == {"biolip2"}


def test_the_other_variant_keeps_every_group_and_says_its_rank(bench: Any) -> None:
    bench.entry("1abc", TWO_COPIES)
    bench.pairs("pairs", "1abc:A:R:5 1abc:B:R:5 1abc:a:r:9 1abc:C:R:2")
    kept, told, table = bench.build(variant="pairs")
    assert told == {}
    assert dict(zip(kept, table["component"], strict=True))["1abc:a:r"] == 1


def ranks(text: str) -> dict[str, int]:
    pairs = pd.DataFrame([pair.split(":") for pair in text.split()], columns=KEY)
    return dict(zip(text.split(), component_ranks(pairs), strict=True))


def test_more_chains_go_before_more_pairs_before_the_first_name() -> None:
    # 4 chains and 3 pairs; 3 chains and 2 pairs, twice: the one with chain C comes before the one with chain a
    assert ranks("1abc:X:U 1abc:a:T 1abc:b:T 1abc:X:V 1abc:C:R 1abc:Y:V 1abc:C:S") == {
        "1abc:X:U": 0, "1abc:X:V": 0, "1abc:Y:V": 0, "1abc:C:R": 1, "1abc:C:S": 1, "1abc:a:T": 2, "1abc:b:T": 2,
    }  # fmt: skip
    # equal chains, more pairs
    assert ranks("1abc:A:R 1abc:A:S 1abc:B:R 1abc:C:T 1abc:C:U 1abc:D:T 1abc:D:U")["1abc:C:T"] == 0


def test_a_chain_belongs_to_its_entry_and_its_side() -> None:
    assert ranks("1abc:A:R 2abc:A:R 1abc:R:X") == {"1abc:A:R": 0, "2abc:A:R": 0, "1abc:R:X": 1}


def test_each_limit_has_its_reason(bench: Any) -> None:
    proteins = f"A=protein:{'M' * 10} B=protein:{'M' * 11} C=protein:M"
    bench.entry("1abc", f"{proteins} R=rna:GGGG S=rna:GGGGG T=rna:{'G' * 7} U=rna:G D=dna:GG")
    bench.entry("3bad", "", status="quarantined")
    bench.pairs("pairs", "1abc:A:R:3 1abc:B:R:3 1abc:C:R:3 1abc:A:S:3 1abc:A:T:3 1abc:A:U:3 1abc:A:D:3 1abc:A:Z:3")
    bench.pairs("pairs", "1abc:C:S:1 2abc:A:R:3 3bad:A:R:3")
    kept, told, _ = bench.build()
    assert kept == ["1abc:A:R"]
    assert told == {
        "1abc:B:R": "protein_too_long", "1abc:C:R": "protein_too_short", "1abc:A:S": "pair_too_long",
        "1abc:A:T": "rna_too_long", "1abc:A:U": "rna_too_short", "1abc:A:D": "chains_are_not_protein_and_rna",
        "1abc:A:Z": "chain_not_in_structure", "1abc:C:S": "few_binding_residues",
        "2abc:A:R": "entry_not_in_archive", "3bad:A:R": "entry_quarantined",
    }  # fmt: skip


def test_the_limits_count_observed_or_full_residues(bench: Any) -> None:
    bench.entry("1abc", f"A=protein:MKA/{'M' * 11} R=rna:GGA")
    bench.pairs("pairs", "1abc:A:R:3")
    assert bench.build(counted_residues="observed")[0] == ["1abc:A:R"]
    assert bench.build(counted_residues="full")[1] == {"1abc:A:R": "protein_too_long"}


def test_repeats_stay_or_go_as_asked(bench: Any) -> None:
    for pdb_id in ("1abc", "2abc"):
        bench.entry(pdb_id, "A=protein:MKA B=protein:MKA R=rna:GGA S=rna:GGC")
    bench.pairs("pairs", "1abc:A:R:3 1abc:B:R:4 1abc:A:S:3 2abc:A:R:5")
    assert bench.build(repeats="keep")[0] == ["1abc:A:R", "1abc:A:S", "1abc:B:R", "2abc:A:R"]
    assert bench.build(repeats="one_per_entry")[1] == {"1abc:A:R": "same_sequences_in_entry"}
    kept, told, _ = bench.build(repeats="one")
    assert kept == ["1abc:A:S", "2abc:A:R"]
    assert told == {"1abc:A:R": "same_sequences", "1abc:B:R": "same_sequences"}


def test_without_biolip2_the_binding_contacts_of_the_structures_are_taken(bench: Any) -> None:
    bench.entry("1abc", "A=protein:MKA B=protein:MKA R=rna:GGA S=rna:GGA")
    bench.pairs("contacts", "1abc:A:R:2 1abc:B:R:1 1abc:B:S:0")
    kept, told, table = bench.build()
    assert kept == ["1abc:A:R"]
    assert list(table["origin"]) == ["contacts"]
    assert told == {"1abc:B:R": "few_binding_residues"}, "a contact without a binding residue is no pair"


def test_an_archive_without_pairs_gives_empty_tables(bench: Any) -> None:
    assert bench.build()[:2] == ([], {})


def test_the_agreement_of_biolip2_and_structures_is_told(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.entry("1abc", "A=protein:MKA B=protein:MKB R=rna:GGA S=rna:GGC")
    bench.pairs("pairs", "1abc:A:R:2 1abc:B:R:2")
    bench.pairs("contacts", "1abc:A:R:2 1abc:B:R:1 1abc:B:S:2 1abc:A:S:4")
    with caplog.at_level(logging.INFO):
        bench.build()
    assert "1 shared, 50.0% of 2 and 33.3% of 3" in caplog.text


def shuffled_copy(path: Path, folder: Path, rng: random.Random) -> Path:
    """The same table with its rows in another order."""
    table = pq.read_table(path)
    copy = folder / path.name
    pq.write_table(table.take(rng.sample(range(len(table)), len(table))), copy)
    return copy


def transcribed(lines: list[str], path: Path) -> Path:
    """The table `pairs` of a BioLiP2 file of these lines."""
    path.write_bytes(gzip.compress("".join(lines).encode()))
    receipt, pairs = path.with_suffix(".json"), path.with_suffix(".parquet")
    receipt.write_text(json.dumps({"status": "fetched", "sha256": sha256_of_file(path)}))
    parse_biolip2(path, source="biolip2", receipt=receipt, pairs=pairs, rejects=path.with_suffix(".rejects"))
    return pairs


@pytest.mark.parametrize("variant", ["component", "pairs"])
@pytest.mark.parametrize("repeats", ["keep", "one"])
def test_other_orders_of_rows_and_files_give_the_same_bytes(
    bench: Any, tmp_path: Path, variant: str, repeats: str
) -> None:
    rng = random.Random(3)
    lines = []
    for number in range(40):
        pdb_id = f"{number % 9 + 1}a{number:02d}"
        bench.entry(pdb_id, "A=protein:MKA B=protein:MKA C=protein:MKC R=rna:GGA S=rna:GGA a=protein:MMM r=rna:GGC")
        bench.pairs("contacts", f"{pdb_id}:A:R:2")
        for protein, rna in rng.sample([(p, r) for p in "ABCa" for r in "RSr"], 5):
            sites = " ".join(f"K{i}" for i in range(rng.randrange(1, 5)))
            lines.append("\t".join([pdb_id, protein, "2.0", "BS01", "rna", rna, "1", sites, *[""] * 12, "MKA"]) + "\n")
    bench.build()
    settings = Pri30k.model_validate(bench.settings | {"variant": variant, "repeats": repeats})
    outputs = []
    for run in range(3):
        folder = tmp_path / f"run{run}"
        folder.mkdir()
        halves = [lines[: len(lines) // 2], lines[len(lines) // 2 :]]
        pairs = []
        for half, rows in enumerate(halves):
            pairs.append(transcribed(rows, folder / f"{half}.gz"))
        structures = {n: shuffled_copy(bench.path(n), folder, rng) for n in ("entries", "chains", "contacts")}
        written = {name: folder / f"out_{name}.parquet" for name in ("out", "decisions", "funnel")}
        build_pri30k(pairs=rng.sample(pairs, 2), settings=settings, **structures, **written)
        outputs.append([path.read_bytes() for path in written.values()])
        rng.shuffle(lines)
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(read_table(tmp_path / "run0" / "out_out.parquet", "pri30k")) > 1
