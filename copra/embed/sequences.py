"""Which sequences are embedded: each distinct one once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.tables import RNA_CHAIN_TYPES, read_table, write_table


def list_sequences(
    chains: Path,
    *,
    records: Path,
    pri30k: Path,
    shards: int,
    out: Path,
    mutants: Path | None = None,
    mutations: Path | None = None,
) -> None:
    """List the distinct sequences of records, pre-training pairs, mutants and their complexes, dealt into `shards`.

    With a mutant goes the wild type it was made from, and with its row of `mutations` (`mutation_records`) every chain
    of its complex, which need not be a record. A sequence's shard follows from its sha256 alone, so a new
    sequence touches one shard only. Raises InputError where a record, a pair or the wild type of a mutant is a
    sequence that no chain has.
    """
    wanted: dict[tuple[str, str], str] = {}  # (molecule type, sha256) -> who asks for it
    for path, table, name in ((records, "records", "record_id"), (pri30k, "pri30k", "pair_id")):
        for row in read_table(path, table).to_dict("records"):
            for molecule_type in ("protein", "rna"):
                for key in str(row[f"{molecule_type}_sha256"]).split(","):
                    wanted.setdefault((molecule_type, key), f"{path}: {row[name]}")
    known = _chain_sequences(chains)
    if mutants is not None:
        for row in read_table(mutants, "mutants").to_dict("records"):
            wanted.setdefault((row["molecule_type"], row["wildtype_sha256"]), f"{mutants}: {row['mutation_id']}")
            mutant = row["molecule_type"], row["mutant_sha256"]
            wanted.setdefault(mutant, f"{mutants}: {row['mutation_id']}")
            known[mutant] = row["mutant_sequence"]
    if mutations is not None:
        wanted = _chains_of_complexes(mutations, chains) | wanted
    missing = [f"{who}: {kind} sequence {key}" for (kind, key), who in wanted.items() if (kind, key) not in known]
    if missing:
        shown = "\n  ".join(sorted(missing)[:10])
        raise InputError(f"{chains}: {len(missing)} sequences are of no chain in this table:\n  {shown}")
    rows = [
        (key, kind, known[kind, key], len(known[kind, key]), int(key[:8], 16) % shards) for kind, key in sorted(wanted)
    ]
    columns = ["sequence_sha256", "molecule_type", "sequence", "n_residues", "shard"]
    types = {"n_residues": "int64", "shard": "int64"}
    write_table(pd.DataFrame(rows, columns=columns).astype(types), out, "sequences")


def _chains_of_complexes(mutations: Path, chains: Path) -> dict[tuple[str, str], str]:
    """(molecule type, sha256) of the chains of the complexes in `mutation_records`, and who asks for each."""
    table = read_table(chains, "chains")
    columns = ["pdb_id", "chain", "sequence_sha256"]
    sums = {(pdb_id, chain): key for pdb_id, chain, key in table[columns].itertuples(index=False, name=None)}
    wanted = {}
    for name in sorted(set(read_table(mutations, "mutation_records")["complex_id"])):
        pdb_id, *sides = name.split(":")
        for molecule_type, side in zip(("protein", "rna"), sides, strict=True):
            for chain in side.split(","):
                if (pdb_id, chain) not in sums:
                    raise InputError(f"{chains}: no chain {chain} of {pdb_id}, which {mutations} names in {name}")
                wanted[molecule_type, sums[pdb_id, chain]] = f"{mutations}: {name}"
    return wanted


def _chain_sequences(path: Path) -> dict[tuple[str, str], str]:
    chains = read_table(path, "chains")
    known: dict[tuple[str, str], str] = {}
    for kind, key, sequence in zip(chains["molecule_type"], chains["sequence_sha256"], chains["sequence"], strict=True):
        known["rna" if kind in RNA_CHAIN_TYPES else kind, key] = sequence
    return known
