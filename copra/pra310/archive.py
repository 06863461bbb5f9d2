"""The structures as the label rooms see them: chains with their types and sequences, and which of them touch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from copra.linkage import connected_groups
from copra.tables import read_table

PROTEIN, DNA = "protein", "dna"


@dataclass(frozen=True)
class Chain:
    """One chain of an entry; `sequence` is the full polymer sequence, one letter per residue."""

    name: str
    molecule_type: str
    sequence: str
    sequence_sha256: str


@dataclass(frozen=True)
class Entry:
    """The chains of one entry by author id, and of each touching (protein chain, RNA chain) the residue contacts."""

    chains: dict[str, Chain]
    contacts: dict[tuple[str, str], int]

    def names(self, *molecule_types: str) -> list[str]:
        """The chains of these molecule types."""
        return [name for name, chain in self.chains.items() if chain.molecule_type in molecule_types]

    def groups(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """The connected groups of touching chains as (protein chains, RNA chains), smallest and first copy first."""
        proteins = {protein for protein, _ in self.contacts}
        groups = connected_groups(self.contacts)
        pairs = [
            (tuple(sorted(c for c in group if c in proteins)), tuple(sorted(c for c in group if c not in proteins)))
            for group in groups
        ]
        return sorted(pairs, key=lambda pair: (len(pair[0]) + len(pair[1]), pair))

    def sequences_of(self, names: Iterable[str]) -> Counter[str]:
        """How often each sequence (by its sha256) stands in these chains."""
        return Counter(self.chains[name].sequence_sha256 for name in names)


def entry_status(entries: pd.DataFrame) -> dict[str, str]:
    """What reading each entry gave, in words: `status: reason` by pdb_id."""
    columns = entries[["pdb_id", "status", "reason"]].itertuples(index=False, name=None)
    return {str(pdb_id): f"{status}: {reason}" for pdb_id, status, reason in columns}


def load_archive(chains: Path, contacts: Path, pdb_ids: Iterable[str]) -> dict[str, Entry]:
    """The entries among `pdb_ids` whose structure was read, that is which have chains in the table `chains`."""
    wanted = set(pdb_ids)
    chain_rows = read_table(chains, "chains")
    chain_rows = chain_rows[chain_rows["pdb_id"].isin(wanted)].sort_values(["pdb_id", "chain"])
    found: dict[str, dict[str, Chain]] = {}
    columns = ["pdb_id", "chain", "molecule_type", "sequence", "sequence_sha256"]
    for pdb_id, name, kind, sequence, sha256 in chain_rows[columns].itertuples(index=False):
        found.setdefault(pdb_id, {})[name] = Chain(name, kind.lower(), sequence, sha256)
    contact_rows = read_table(contacts, "contacts")
    contact_rows = contact_rows[contact_rows["pdb_id"].isin(wanted)]
    contact_rows = contact_rows.sort_values(["pdb_id", "protein_chain", "rna_chain"])
    pairs: dict[str, dict[tuple[str, str], int]] = {}
    columns = ["pdb_id", "protein_chain", "rna_chain", "n_residue_contacts"]
    for pdb_id, protein, rna, n_contacts in contact_rows[columns].itertuples(index=False):
        pairs.setdefault(pdb_id, {})[protein, rna] = n_contacts
    return {pdb_id: Entry(of_entry, pairs.get(pdb_id, {})) for pdb_id, of_entry in found.items()}
