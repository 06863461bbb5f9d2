"""Chain pairs: where they are stated, their name for files, and how well two statements agree."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from copra.bounded import MAX_TABLE_BYTES, read_bounded
from copra.errors import InputError
from copra.tables import concat_tables

KEY = ["pdb_id", "protein_chain", "rna_chain"]


def stated_pairs(pairs: list[Path], contacts: pd.DataFrame) -> pd.DataFrame:
    """The distinct pairs with `n_binding_residues`, `origin` and `pair_id`, sorted by `KEY`.

    They are those of the tables `pairs`; where these hold none, those of `contacts` with a binding residue. A pair
    that is in two files has the larger count.
    """
    stated, origin = concat_tables(pairs, "pairs"), "biolip2"
    if stated.empty:
        stated, origin = contacts[contacts["n_binding_residues"] > 0], "contacts"
    stated = stated[[*KEY, "n_binding_residues"]]
    stated = stated.sort_values([*KEY, "n_binding_residues"], ascending=[True, True, True, False]).drop_duplicates(KEY)
    return stated.assign(origin=origin, pair_id=pair_ids(stated)).reset_index(drop=True)


def pair_ids(pairs: pd.DataFrame) -> pd.Series:
    """`1urn:A:P` for each row."""
    return pairs["pdb_id"] + ":" + pairs["protein_chain"] + ":" + pairs["rna_chain"]


def case_safe_key(pdb_id: str, protein_chain: str, rna_chain: str) -> str:
    """A name for files that differs from every other pair's also where case is ignored: `8rjb_C_-v`.

    A lower-case letter of a chain id has "-" before it; a character that is neither letter nor digit is written as
    %XX, so that "_" parts the three. `pdb_id` is in lower case, as everywhere here, and may hold "_".
    """
    return f"{pdb_id}_{_safe(protein_chain)}_{_safe(rna_chain)}"


def _safe(chain: str) -> str:
    def written(character: str) -> str:
        if not (character.isascii() and character.isalnum()):
            return "".join(f"%{byte:02X}" for byte in character.encode())
        return f"-{character}" if character.islower() else character

    return "".join(map(written, chain))


def pair_of_key(key: str) -> tuple[str, str, str]:
    """The pair of a `case_safe_key`, which may have lost its case on the way.

    Raises InputError for a text that is no such key.
    """
    found = re.fullmatch(
        r"([0-9a-z_]+)_((?:%[0-9a-f]{2}|-?[a-z]|[0-9])+)_((?:%[0-9a-f]{2}|-?[a-z]|[0-9])+)", key.lower()
    )
    if not found:
        raise InputError(f"expected a key such as 8rjb_C_-v, found {key!r}")
    return found[1], _chain(found[2]), _chain(found[3])


def _chain(safe: str) -> str:
    def meant(part: re.Match[str]) -> str:
        if part[0][0] == "%":
            return bytes.fromhex(part[0].replace("%", "")).decode()
        return part[0][1:] if part[0][0] == "-" else part[0].upper()

    return re.sub(r"(?:%[0-9a-f]{2})+|-[a-z]|[a-z]", meant, safe)


def read_pair_list(path: Path) -> pd.DataFrame:
    """The distinct pairs of a list from elsewhere, as `KEY` columns.

    A table of this pipeline (.parquet) with these columns; a CSV with the heading `pdb,prot_chain,rna_chain` as PRI30k
    was published; or RNApedia's tab-separated list, whose first cell is `8G6X_Z_l`: entry, RNA chain, protein chain.
    Raises InputError for another form.
    """
    listed = _of_parquet(path) if path.suffix == ".parquet" else _of_lines(_lines(path))
    if not set(KEY) <= set(listed.columns) or listed[KEY].isna().any(axis=None):
        raise InputError(f"{path}: expected pairs as pdb,prot_chain,rna_chain, as 8G6X_Z_l, or a table of pairs")
    return listed[KEY].assign(pdb_id=listed["pdb_id"].str.lower()).drop_duplicates(ignore_index=True)


def _of_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error


def _lines(path: Path) -> list[str]:
    try:
        text = read_bounded(path, MAX_TABLE_BYTES).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable text file: {error}") from error
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def _of_lines(lines: list[str]) -> pd.DataFrame:
    """All cells stay texts: a chain may be named NA or 1E10."""
    if lines and lines[0] == "pdb,prot_chain,rna_chain":
        return pd.Series(lines[1:], dtype=str).str.extract(
            r"^(?P<pdb_id>\w+),(?P<protein_chain>\w+),(?P<rna_chain>\w+)$"
        )
    first = pd.Series(lines, dtype=str).str.partition("\t")[0]
    return first.str.extract(r"^(?P<pdb_id>\w+?)_(?P<rna_chain>[^\W_]+)_(?P<protein_chain>[^\W_]+)$")


@dataclass(frozen=True)
class Agreement:
    """How many pairs two statements share and how many only one of them makes."""

    n_shared: int
    n_first_only: int
    n_second_only: int

    def __str__(self) -> str:
        first, second = self.n_shared + self.n_first_only, self.n_shared + self.n_second_only
        of_first = self.n_shared / first if first else 0.0
        of_second = self.n_shared / second if second else 0.0
        return f"{self.n_shared} shared, {of_first:.1%} of {first} and {of_second:.1%} of {second}"


def agreement(first: pd.DataFrame, second: pd.DataFrame) -> Agreement:
    """Compare the pairs (`KEY` columns) of the entries that both name."""
    both = set(first["pdb_id"]) & set(second["pdb_id"])
    a, b = (
        set(pairs.loc[pairs["pdb_id"].isin(both), KEY].itertuples(index=False, name=None)) for pairs in (first, second)
    )
    return Agreement(len(a & b), len(a - b), len(b - a))
