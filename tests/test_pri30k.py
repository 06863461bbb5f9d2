from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Pri30k
from copra.decisions import rows_as_dicts
from copra.files import sha256_of_text
from copra.pri30k import build_pri30k
from copra.tables import empty_table, read_table, write_table

LIMITS = {"max_protein_residues": 10, "max_rna_nucleotides": 6, "max_total_residues": 14}


def chain(pdb_id: str, name: str, kind: str, sequence: str) -> dict[str, Any]:
    return {
        "pdb_id": pdb_id, "chain": name, "label_chains": name, "molecule_type": kind, "sequence": sequence,
        "sequence_sha256": sha256_of_text(sequence), "observed_sequence": "", "n_residues": len(sequence),
        "n_observed": 0, "n_modified": 0, "n_gaps": 0, "sequence_origin": "",
    }  # fmt: skip


def build(
    folder: Path, chains: list[dict[str, Any]], pairs: list[str], contacts: list[str], variant: Any
) -> tuple[list[str], dict[str, str], pd.DataFrame]:
    """Pairs and contacts as `1abc:A:R:7` with the number of contacts; returns pair ids, rule by pair, the table."""
    split = [text.split(":") for text in pairs]
    pair_rows = [
        {
            "pdb_id": a, "protein_chain": b, "rna_chain": c, "resolution_angstrom": None,
            "n_binding_residues": int(n), "receptor_sequence": "M", "source_row": "1",
        }
        for a, b, c, n in split
    ]  # fmt: skip
    contact_rows = [
        {"pdb_id": a, "protein_chain": b, "rna_chain": c, "n_residue_contacts": int(n), "min_distance_angstrom": 3.0}
        for a, b, c, n in (text.split(":") for text in contacts)
    ]
    for name, table in (("chains", chains), ("pairs", pair_rows), ("contacts", contact_rows), ("entries", [])):
        write_table(pd.DataFrame(table) if table else empty_table(name), folder / f"{name}.parquet", name)
    build_pri30k(
        pairs=[folder / "pairs.parquet"], entries=folder / "entries.parquet", chains=folder / "chains.parquet",
        contacts=folder / "contacts.parquet", settings=Pri30k(variant=variant, **LIMITS), out=folder / "out.parquet",
        decisions=folder / "d.parquet", funnel=folder / "f.parquet",
    )  # fmt: skip
    out = read_table(folder / "out.parquet", "pri30k")
    rows = rows_as_dicts(read_table(folder / "d.parquet", "decisions"))
    told = {row["subject"]: row["rule"] for row in rows}
    funnel = read_table(folder / "f.parquet", "funnel")
    assert funnel["rows_out"].iloc[-1] == len(out)
    assert list(funnel["rows_in"].iloc[1:]) == list(funnel["rows_out"].iloc[:-1])
    assert funnel["rows_in"].iloc[0] == len(out) + len(told)
    return list(out["pair_id"]), told, out


def test_largest_component_is_kept(tmp_path: Path) -> None:
    chains = [chain("1abc", name, "protein", f"M{'K' * n}") for n, name in enumerate("ABCa")]
    chains += [chain("1abc", name, "rna", "G" * n) for n, name in enumerate("Rr", start=1)]
    pairs = ["1abc:A:R:5", "1abc:B:R:5", "1abc:a:r:9", "1abc:C:R:1"]
    kept, told, out = build(tmp_path, chains, pairs, [], "component")
    assert kept == ["1abc:A:R", "1abc:B:R", "1abc:C:R"]
    assert told == {"1abc:a:r": "not_in_largest_component"}
    assert set(out["origin"]) == {"biolip2"}
    kept, _, out = build(tmp_path, chains, pairs, [], "pairs")
    assert dict(zip(kept, out["component"], strict=True))["1abc:a:r"] == 1


def test_limits_types_repeats_and_absent_chains(tmp_path: Path) -> None:
    chains = [
        chain("1abc", "A", "protein", "M" * 10), chain("1abc", "B", "protein", "M" * 11),
        chain("1abc", "C", "protein", "M" * 10), chain("1abc", "R", "rna", "GGGG"), chain("1abc", "S", "rna", "G" * 5),
        chain("1abc", "T", "rna", "G" * 7), chain("1abc", "D", "dna", "GG"), chain("1abc", "U", "rna", "GGGG"),
    ]  # fmt: skip
    pairs = ["A:R:3", "C:R:4", "A:U:4", "B:R:1", "A:S:1", "A:T:1", "A:D:1", "A:Z:1"]
    kept, told, _ = build(tmp_path, chains, [f"1abc:{p}" for p in pairs] + ["2abc:A:R:1"], [], "component")
    assert kept == ["1abc:A:U"]
    assert told == {
        "1abc:A:R": "same_sequences_in_entry", "1abc:C:R": "same_sequences_in_entry", "1abc:B:R": "protein_length",
        "1abc:A:S": "total_length", "1abc:A:T": "rna_length", "1abc:A:D": "chains_are_not_protein_and_rna",
        "1abc:A:Z": "chain_not_in_structure", "2abc:A:R": "structure_not_in_archive",
    }  # fmt: skip


def test_without_pairs_the_contacts_are_taken(tmp_path: Path) -> None:
    chains = [chain("1abc", "A", "protein", "MK"), chain("1abc", "R", "rna", "GG")]
    kept, _, out = build(tmp_path, chains, [], ["1abc:A:R:2"], "component")
    assert kept == ["1abc:A:R"]
    assert list(out["origin"]) == ["contacts"]
    assert build(tmp_path, [], [], [], "component")[0] == []
