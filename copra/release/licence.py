"""What of a run may be passed on: its tables, cut to what the licences of their sources allow.

Where sources.tsv says `redistribute: no` of a source

- a measurement that a record uses is given as single facts with their reference (`FACTS`), without the source's
  words; every other row of the source stays here, so that its table is not passed on as a table;
- a mutation effect stays here: no record rests on one;
- a candidate or label stays here unless it became a record;
- a decision keeps step, subject, rule and verdict, which are our own, but not the texts that may repeat a value or a
  word of the source; one about a complex or pair that only the source names stays here;
- a pair of BioLiP2 stays here unless the structure shows it too: then it is our own finding, with our own count.

Folds from a file (method `file`) stay here, since no row of sources.tsv states a licence for it.
Rejected rows are the sources' words alone: of no source are they passed on, they are counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from copra.errors import InputError
from copra.pri30k.build import STEP as PRI30K_STEP
from copra.pri30k.pairs import pair_ids
from copra.provenance.results import Run
from copra.release.inputs import Input
from copra.tables import TABLES, concat_tables

# columns of a measurement that are a single fact or its reference; all others are left empty
FACTS = (
    "measurement_id", "source", "source_version", "source_row", "file_sha256", "pdb_id", "protein_chains",
    "rna_chains", "quantity", "relation", "value", "unit", "temperature_k", "ph", "pmid", "parse_rule",
)  # fmt: skip
TEXTS = ["before", "after", "evidence", "note"]
# the evidence of these rules is written by hand in resources/curation
CURATED_RULES = ("correction", "primary_literature")
# tables that pass as they are: counts, ids and what is computed from sequences and structures
WHOLE = ("funnel", "label_noise", "clusters", "folds", "leakage")


@dataclass(frozen=True)
class LeftOut:
    """Of the rows of one table that rest on one source (or several, comma-joined): how many stay here or are cut."""

    table: str
    source: str
    n_rows: int
    n_left_out: int
    n_cut: int


@dataclass(frozen=True)
class Released:
    """The tables that are passed on, by name, and what was left out of them."""

    tables: dict[str, pd.DataFrame]
    left_out: list[LeftOut]


def released_tables(run: Run, inputs: dict[str, Input]) -> Released:
    """The tables of a run as they may be passed on; tables that the run does not have are not among them.

    Raises InputError when there are no records, or a row rests on a source or a measurement that is not of the run.
    """
    if not run.files("records"):
        raise InputError(f"{run.results}: expected the table 'records' of a finished run, found none")
    closed = frozenset(name for name, source in inputs.items() if source.redistribute != "yes")
    records = run.table("records")
    stated = _of_sources(run, "measurements", inputs)
    effects = _of_sources(run, "mutations", inputs)
    source_of = dict(zip(stated["measurement_id"], stated["source"], strict=True))
    left_out: list[LeftOut] = []
    tables = {"records": records, "measurements": _measurements(stated, records, closed, left_out)}
    if run.files("mutations"):
        tables["mutations"] = _count_and_drop("mutations", effects, effects["source"].isin(closed), left_out)
    for name in ("candidates", "labels"):
        tables[name] = _complexes(name, run.table(name), records, source_of, closed, left_out)
    tables["decisions"] = _decisions(run, tables["candidates"], stated, source_of, closed, inputs, left_out)
    if run.files("pri30k"):
        tables["pri30k"] = _pri30k(run, closed, inputs, left_out)
    shown = set(records["pdb_id"]) | set(tables["pri30k"]["pdb_id"] if "pri30k" in tables else ())
    for name in ("entries", "chains"):
        table = run.table(name)
        tables[name] = table[table["pdb_id"].isin(shown)]
    for name in WHOLE:
        if run.files(name):
            tables[name] = run.table(name)
    if "folds" in tables and is_from_file(run, run.config.split.family):
        n_rows = len(tables.pop("folds"))
        left_out.append(LeftOut("folds", run.config.split.family, n_rows, n_rows, 0))
    return Released({name: tables[name] for name in TABLES if name in tables}, left_out)


def is_from_file(run: Run, family: str) -> bool:
    """Whether a split family is read from somebody's file, of which no licence is known."""
    return run.config.split.families[family].method == "file"


def _of_sources(run: Run, name: str, inputs: dict[str, Input]) -> pd.DataFrame:
    """The rows of a parsed table of the sources in use; a folder that an earlier run left behind is passed over."""
    rows = concat_tables([path for path in run.files(name) if path.parent.name in inputs], name)
    strangers = sorted(set(rows["source"]) - inputs.keys())
    if strangers:
        raise InputError(f"{run.results}: table '{name}': rows of {strangers}, which are no sources of this run")
    return rows


def _ids(column: Iterable[str]) -> set[str]:
    return {name for text in column for name in text.split(",") if name}


def _measurements(
    stated: pd.DataFrame, records: pd.DataFrame, closed: frozenset[str], left_out: list[LeftOut]
) -> pd.DataFrame:
    is_closed = stated["source"].isin(closed)
    stays = is_closed & ~stated["measurement_id"].isin(_ids(records["measurement_ids"]))
    _count("measurements", stated["source"].where(is_closed, ""), stays, is_closed & ~stays, left_out)
    rows = stated.copy()
    for column in TABLES["measurements"].columns:
        name, kind = column.split()
        if name not in FACTS:
            rows.loc[is_closed, name] = None if kind.endswith("?") else ""
    return rows[~stays]


def _complexes(
    name: str, rows: pd.DataFrame, records: pd.DataFrame, source_of: dict[str, str], closed: frozenset[str],
    left_out: list[LeftOut],
) -> pd.DataFrame:  # fmt: skip
    """Candidates or labels; a label without measurements rests on hand-written evidence alone."""
    lost = sorted(_ids(rows["measurement_ids"]) - source_of.keys())
    if lost:
        raise InputError(f"table '{name}' names the measurement {lost[0]}, which no source of this run states")
    owner = pd.Series(
        [",".join(sorted({source_of[i] for i in _ids([ids])} & closed)) for ids in rows["measurement_ids"]],
        index=rows.index, dtype=str,
    )  # fmt: skip
    is_record = rows["candidate_id"].isin(records["record_id"])
    return _count_and_drop(name, rows, (owner != "") & ~is_record, left_out, owner)


def _decisions(
    run: Run, candidates: pd.DataFrame, stated: pd.DataFrame, source_of: dict[str, str], closed: frozenset[str],
    inputs: dict[str, Input], left_out: list[LeftOut],
) -> pd.DataFrame:  # fmt: skip
    rows = run.table("decisions")
    spoken_of = stated[stated["source"].isin(closed)].groupby("pdb_id")["source"]
    sources_of_entry = {entry: ",".join(sorted(set(names))) for entry, names in spoken_of}
    released, entries = set(candidates["candidate_id"]), set(candidates["pdb_id"])
    own_pairs = set(_own_pairs(run))
    pairs_owner = ",".join(_closed_pairs(inputs, closed))
    owners, drop, blank = [], [], []
    for step, subject, rule in rows[["step", "subject", "rule"]].itertuples(index=False, name=None):
        entry = subject.partition(":")[0]
        if subject in source_of:
            owner, keep, texts = source_of[subject], True, TEXTS
            owner = owner if owner in closed else ""
        elif step == PRI30K_STEP:
            owner, keep, texts = pairs_owner, subject in own_pairs, TEXTS
        else:
            owner, keep = sources_of_entry.get(entry, ""), entry in entries
            texts = _texts_to_blank(step, rule, subject in released)
        owners.append(owner)
        drop.append(bool(owner) and not keep)
        blank.append(texts if owner else [])
    rows = rows.copy()
    for text in TEXTS:
        rows.loc[[text in texts for texts in blank], text] = ""
    stays = pd.Series(drop, index=rows.index, dtype=bool)
    cut = pd.Series([bool(texts) for texts in blank], index=rows.index, dtype=bool)
    _count("decisions", pd.Series(owners, index=rows.index, dtype=str), stays, cut & ~stays, left_out)
    return rows[~stays]


def _texts_to_blank(step: str, rule: str, is_released: bool) -> list[str]:
    """The texts of a decision on a complex that a closed source speaks of which may repeat its values."""
    if step == "merge" or (step == "select" and is_released):
        return []
    if step == "calibrate" and is_released:
        return ["before", "note"] if rule in CURATED_RULES else ["before", "evidence", "note"]
    return TEXTS


def _closed_pairs(inputs: dict[str, Input], closed: frozenset[str]) -> list[str]:
    return sorted(name for name in closed if inputs[name].kind == "pairs")


def _own_pairs(run: Run) -> dict[str, int]:
    """The pairs that the structures themselves show, with their binding residues, by the run's own limit."""
    contacts = run.table("contacts")
    binding = contacts[contacts["n_binding_residues"] >= max(1, run.config.pri30k.min_binding_residues)]
    return dict(zip(pair_ids(binding), binding["n_binding_residues"], strict=True))


def _pri30k(run: Run, closed: frozenset[str], inputs: dict[str, Input], left_out: list[LeftOut]) -> pd.DataFrame:
    rows = run.table("pri30k")
    stated = rows["origin"] != "contacts"
    if stated.any() and not any(source.kind == "pairs" for source in inputs.values()):
        raise InputError(f"{run.results}: table 'pri30k': pairs of {rows['origin'][stated].iloc[0]}, not in use here")
    names = _closed_pairs(inputs, closed)
    if not names:
        return rows
    own = _own_pairs(run)
    mine = stated & rows["pair_id"].isin(own.keys())
    stays = stated & ~mine
    _count("pri30k", stated.map({True: ",".join(names), False: ""}), stays, mine, left_out)
    rows = rows.copy()
    rows.loc[mine, "n_binding_residues"] = rows.loc[mine, "pair_id"].map(own)
    rows.loc[mine, "origin"] = "contacts"
    return rows[~stays]


def _count_and_drop(
    name: str, rows: pd.DataFrame, stays: pd.Series, left_out: list[LeftOut], owner: pd.Series | None = None
) -> pd.DataFrame:
    owner = rows["source"].where(stays, "") if owner is None else owner
    _count(name, owner, stays, pd.Series(False, index=rows.index), left_out)
    return rows[~stays]


def _count(table: str, owner: pd.Series, stays: pd.Series, cut: pd.Series, left_out: list[LeftOut]) -> None:
    for name in sorted(set(owner) - {""}):
        of_source = owner == name
        numbers = int(of_source.sum()), int((of_source & stays).sum()), int((of_source & cut).sum())
        left_out.append(LeftOut(table, name, *numbers))
