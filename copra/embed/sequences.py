"""Which sequences are embedded: each distinct one once."""

from __future__ import annotations

from collections.abc import Iterator
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
) -> None:
    """List the distinct sequences of records, pre-training pairs, mutants and their entries, dealt into `shards`.

    With a mutant goes every protein and RNA chain of its entry: the wild type and its partners, which need not be a
    record; which of them are its complex is decided later. A sequence's shard follows from its sha256 alone, so a new
    sequence touches one shard only. Raises InputError where a record, a pair or the wild type of a mutant is a
    sequence that no chain has.
    """
    wanted: dict[tuple[str, str], str] = {}  # (molecule type, sha256) -> who asks for it
    for path, table, name in ((records, "records", "record_id"), (pri30k, "pri30k", "pair_id")):
        for row in read_table(path, table).to_dict("records"):
            for molecule_type in ("protein", "rna"):
                for key in str(row[f"{molecule_type}_sha256"]).split(","):
                    wanted.setdefault((molecule_type, key), f"{path}: {row[name]}")
    every_chain = read_table(chains, "chains")
    known = {chain: sequence for _, chain, sequence in _chain_sequences(every_chain)}
    if mutants is not None:
        rows = read_table(mutants, "mutants").to_dict("records")
        entries = {row["pdb_id"] for row in rows}
        for pdb_id, chain, _ in _chain_sequences(every_chain):
            if pdb_id in entries and chain[0] in ("protein", "rna"):
                wanted.setdefault(chain, f"{mutants}: {pdb_id}")
        for row in rows:
            wanted.setdefault((row["molecule_type"], row["wildtype_sha256"]), f"{mutants}: {row['mutation_id']}")
            mutant = row["molecule_type"], row["mutant_sha256"]
            wanted.setdefault(mutant, f"{mutants}: {row['mutation_id']}")
            known[mutant] = row["mutant_sequence"]
    missing = [f"{who}: {kind} sequence {key}" for (kind, key), who in wanted.items() if (kind, key) not in known]
    if missing:
        shown = "\n  ".join(sorted(missing)[:10])
        raise InputError(f"{chains}: {len(missing)} sequences are of no chain in this table:\n  {shown}")
    dealt = [
        (key, kind, known[kind, key], len(known[kind, key]), int(key[:8], 16) % shards) for kind, key in sorted(wanted)
    ]
    columns = ["sequence_sha256", "molecule_type", "sequence", "n_residues", "shard"]
    types = {"n_residues": "int64", "shard": "int64"}
    write_table(pd.DataFrame(dealt, columns=columns).astype(types), out, "sequences")


def _chain_sequences(chains: pd.DataFrame) -> Iterator[tuple[str, tuple[str, str], str]]:
    """Entry, (molecule type, sha256) and sequence of every chain."""
    columns = ["pdb_id", "molecule_type", "sequence_sha256", "sequence"]
    for pdb_id, kind, key, sequence in chains[columns].itertuples(index=False, name=None):
        yield pdb_id, ("rna" if kind in RNA_CHAIN_TYPES else kind, key), sequence
