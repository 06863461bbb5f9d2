"""Which sequences are embedded: each distinct one once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.errors import InputError
from copra.tables import RNA_CHAIN_TYPES, read_table, write_table


def list_sequences(chains: Path, *, records: Path, pri30k: Path, shards: int, out: Path) -> None:
    """List the distinct sequences of the records and of the pre-training pairs, dealt into `shards`.

    A sequence's shard follows from its sha256 alone, so a new sequence touches one shard only. Raises
    InputError where a record or a pair names a sequence that no chain has.
    """
    wanted: dict[tuple[str, str], str] = {}  # (molecule type, sha256) -> who asks for it
    for path, table, name in ((records, "records", "record_id"), (pri30k, "pri30k", "pair_id")):
        for row in read_table(path, table).to_dict("records"):
            for molecule_type in ("protein", "rna"):
                for key in str(row[f"{molecule_type}_sha256"]).split(","):
                    wanted.setdefault((molecule_type, key), f"{path}: {row[name]}")
    known = _chain_sequences(chains)
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


def _chain_sequences(path: Path) -> dict[tuple[str, str], str]:
    chains = read_table(path, "chains")
    known: dict[tuple[str, str], str] = {}
    for kind, key, sequence in zip(chains["molecule_type"], chains["sequence_sha256"], chains["sequence"], strict=True):
        known["rna" if kind in RNA_CHAIN_TYPES else kind, key] = sequence
    return known
