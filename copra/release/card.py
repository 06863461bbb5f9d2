"""The data card and the licences of a release, from the run's own tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined

from copra.decisions import rows_as_dicts
from copra.files import sha256_of_file
from copra.provenance.results import Run
from copra.release.contents import ROWS, About
from copra.release.inputs import Column, Input
from copra.release.licence import LeftOut, Released

CARD = Path(__file__).with_name("data_card.md.j2")
LICENCES = Path(__file__).with_name("licences.md.j2")
LEFT_OUT = Path(__file__).with_name("left_out.md.j2")
DG = "dg_kcal_mol"


def data_card(
    run: Run,
    about: About,
    released: Released,
    inputs: dict[str, Input],
    columns: dict[tuple[str, str], Column],
    kept_back: list[str],
    config: Path,
) -> str:
    """The data card as Markdown; every number is counted in the tables. `config` is the release's config.json."""
    tables = released.tables
    records = tables["records"]
    return _render(
        CARD, about=about, inputs=_ordered(inputs), left_out=_told(released.left_out), kept_back=", ".join(kept_back),
        config_sha256=sha256_of_file(config), split_family=run.config.split.family,
        tables=[(name, len(table), ROWS[name]) for name, table in tables.items()],
        n_records=len(records), n_pra201=int(records["in_pra201"].sum()), n_record_entries=records["pdb_id"].nunique(),
        pri30k=_pri30k(tables.get("pri30k")), funnels=_funnels(tables["funnel"]), rejects=_rejects(run, inputs),
        counts=_counts(records), grade_meaning=columns["records", "label_grade"].description, dg=_dg(records),
        temperature=_temperature(run, records), window=_window(run, records), sizes=_sizes(records),
        repeats=_repeats(records), structures=_structures(records, tables["entries"]),
        label_noise=_label_noise(tables.get("label_noise")), leakage=_leakage(tables.get("leakage")),
        **_folds(records, tables.get("folds"), tables.get("clusters")),
    )  # fmt: skip


def licences(about: About, released: Released, inputs: dict[str, Input], kept_back: list[str]) -> str:
    """The terms of each source as Markdown, and what was left out for them."""
    left_out = _told(released.left_out)
    return _render(
        LICENCES, about=about, inputs=_ordered(inputs), left_out=left_out, kept_back=", ".join(kept_back)
    )  # fmt: skip


def _render(template: Path, **values: Any) -> str:
    # a text from a source must not break out of its cell or become markup
    environment = Environment(
        loader=DictLoader({"left_out": LEFT_OUT.read_text(encoding="utf-8")}), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_plain,
    )  # fmt: skip
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def _plain(value: object) -> object:
    if not isinstance(value, str):
        return value
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;")


def _ordered(inputs: dict[str, Input]) -> list[Input]:
    return [inputs[name] for name in sorted(inputs)]


def _told(left_out: list[LeftOut]) -> list[LeftOut]:
    return [part for part in left_out if part.n_left_out or part.n_cut]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none"


def _pri30k(pairs: pd.DataFrame | None) -> dict[str, int]:
    return {} if pairs is None else {"n_pairs": len(pairs), "n_entries": pairs["pdb_id"].nunique()}


def _funnels(funnel: pd.DataFrame) -> list[tuple[str, list[dict[str, Any]]]]:
    ordered = funnel.sort_values(["dataset", "order", "reason"])
    return [(str(name), rows_as_dicts(part)) for name, part in ordered.groupby("dataset", sort=True)]


def _rejects(run: Run, inputs: dict[str, Input]) -> list[tuple[str, str, int]]:
    rows = run.table("rejects")
    count = Counter(
        (source, reason)
        for source, reason in rows[["source", "reason"]].itertuples(index=False, name=None)
        if source in inputs
    )
    return [(source, reason, n_rows) for (source, reason), n_rows in sorted(count.items())]


def _counts(records: pd.DataFrame) -> list[tuple[str, list[tuple[str, int]]]]:
    sources = Counter(name for text in records["sources"] for name in (text.split(",") if text else ["(by hand)"]))
    return [
        ("source (a record may rest on several)", sorted(sources.items())),
        ("grade", sorted(Counter(records["label_grade"]).items())),
        ("deciding rule", sorted(Counter(records["deciding_rule"]).items())),
    ]


def _dg(records: pd.DataFrame) -> str:
    if records.empty:
        return "No record."
    low, quarter, middle, upper, high = records[DG].quantile([0, 0.25, 0.5, 0.75, 1])
    return f"From {low:.2f} to {high:.2f}, median {middle:.2f}, half of them between {quarter:.2f} and {upper:.2f}."


def _temperature(run: Run, records: pd.DataFrame) -> str:
    assumed = _share(int(records["temperature_assumed"].sum()), len(records))
    default = run.config.pra310.default_temperature_k
    return (
        f"no used source states one for {assumed} of the labels; {default:g} K is then assumed, and "
        "`temperature_assumed` says so. Kd does not depend on it, dG does (`dg_298k_kcal_mol` is at 298.15 K for all)."
    )


def _window(run: Run, records: pd.DataFrame) -> str:
    window = run.config.pra310.dg_window_kcal_mol
    inside = _share(int(records["in_dg_window"].sum()), len(records))
    kept = "records outside it are left out" if run.config.pra310.variant != "full" else "the others are kept"
    return f"{inside} of the labels lie between {window.low:g} and {window.high:g} kcal/mol; {kept}."


def _sizes(records: pd.DataFrame) -> str:
    if records.empty:
        return "no record."
    told = []
    for column, unit in (("n_protein_residues", "protein residues"), ("n_rna_nucleotides", "nucleotides")):
        low, middle, high = records[column].quantile([0, 0.5, 1])
        told.append(f"{low:g} to {high:g} {unit}, median {middle:g}")
    return "; ".join(told) + " (full sequences, all chains of a side together)."


def _repeats(records: pd.DataFrame) -> str:
    entries, proteins = Counter(records["pdb_id"]), Counter(records["protein_sha256"])
    several = sum(count > 1 for count in entries.values())
    return (
        f"{several} entries have more than one record. The {len(records)} records have {len(proteins)} different "
        f"proteins (all chains taken together); the most frequent one stands in {max(proteins.values(), default=0)}."
    )


def _structures(records: pd.DataFrame, entries: pd.DataFrame) -> str:
    shown = entries[entries["pdb_id"].isin(set(records["pdb_id"]))]
    methods = ", ".join(f"{name or 'not stated'} {count}" for name, count in sorted(Counter(shown["method"]).items()))
    resolution = shown["resolution_angstrom"].dropna()
    told = f"; median resolution {resolution.median():.2f} angstrom" if len(resolution) else ""
    return f"entries of the records by method: {methods}{told}."


def _label_noise(noise: pd.DataFrame | None) -> list[dict[str, Any]]:
    if noise is None:
        return []
    return [
        row | {
            "error": f"{row['label_error_sd_kcal_mol']:.2f}", "ceiling": f"{row['ceiling_pcc']:.2f}",
            "copies_left_out": "yes" if row["copies_left_out"] else "no",
        }
        for row in rows_as_dicts(noise)
    ]  # fmt: skip


def _leakage(leakage: pd.DataFrame | None) -> list[dict[str, Any]]:
    if leakage is None:
        return []
    counts = [name for name in leakage.columns if name.startswith("n_test")]
    sums = leakage.groupby("family", sort=True)[counts].sum()
    return rows_as_dicts(sums.reset_index())


def _folds(records: pd.DataFrame, folds: pd.DataFrame | None, clusters: pd.DataFrame | None) -> dict[str, Any]:
    sizes = Counter(clusters["cluster"]) if clusters is not None else Counter()
    told = []
    if folds is not None:
        dealt = folds.merge(records[["record_id", DG]], on="record_id")
        for fold, part in dealt.groupby("fold", sort=True):
            mean, sd = part[DG].mean(), part[DG].std(ddof=0)
            told.append(
                {"fold": fold, "n_records": len(part), "n_clusters": part["cluster"].nunique(), "mean": f"{mean:.2f}",
                 "sd": f"{sd:.2f}"}
            )  # fmt: skip
    return {
        "folds": told, "n_clusters": len(sizes), "largest_cluster": max(sizes.values(), default=0),
        "n_single": sum(count == 1 for count in sizes.values()),
    }  # fmt: skip
