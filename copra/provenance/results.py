"""What a run left in its results folder, read back for the audit, the trace and the report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config import Config
from copra.config_file import parse_config
from copra.errors import InputError
from copra.tables import concat_tables

# where a table is, below the results folder; several files are joined
LOCATIONS: dict[str, tuple[str, ...]] = {
    "wanted_entries": ("entries/wanted.parquet",),
    "fetched": ("fetched/*.parquet",),
    "measurements": ("parsed/*/measurements.parquet",),
    "mutations": ("parsed/*/mutations.parquet",),
    "pairs": ("parsed/*/pairs.parquet",),
    "mutants": ("structures/mutants.parquet",),
    "rejects": ("parsed/*/rejects.parquet", "structures/mutant_rejects.parquet"),
    "entries": ("structures/entries.parquet",),
    "chains": ("structures/chains.parquet",),
    "contacts": ("structures/contacts.parquet",),
    "pri30k": ("pri30k/pri30k.parquet",),
    "candidates": ("pra310/merge/candidates.parquet",),
    "labels": ("pra310/calibrate/labels.parquet",),
    "records": ("pra310/select/records.parquet",),
    "decisions": ("pra310/*/decisions.parquet", "pri30k/decisions.parquet"),
    "funnel": ("pra310/*/funnel.parquet", "pri30k/funnel.parquet"),
    "clusters": ("split/clusters.parquet",),
    "folds": ("split/folds.parquet",),
    "identities": ("split/identities.parquet",),
    "leakage": ("split/leakage.parquet",),
    "label_noise": ("pra310/calibrate/label_noise.parquet",),
    "predictions": ("train/*/seed_*/fold_*/predictions.parquet",),
    "metrics": ("evaluate/*/metrics.parquet", "by_family/*/evaluate/*/metrics.parquet"),
    "differences": ("evaluate/*/differences.parquet", "by_family/*/evaluate/*/differences.parquet"),
    "intervals": ("evaluate/*/intervals.parquet", "by_family/*/evaluate/*/intervals.parquet"),
    "pretraining_pairs": ("pretrain/*/*/pairs.parquet",),
    "pretraining": ("pretrain/*/*/evaluation.parquet",),
    "findings": ("audit/findings.parquet", "audit/prediction_findings.parquet"),
}


@dataclass(frozen=True)
class Run:
    """One run: its results folder, its raw folder, its configuration and what run.json says of it."""

    results: Path
    raw: Path
    curation: Path
    config: Config
    description: dict[str, Any]

    def files(self, name: str) -> list[Path]:
        """The files that hold the table `name`."""
        return table_files(self.results, name)

    def table(self, name: str) -> pd.DataFrame:
        """The rows of the table `name` over all its files; without rows where there is none."""
        return concat_tables(self.files(name), name)

    def receipts(self) -> list[dict[str, Any]]:
        """The receipts of the source files, each with `file`, the path of the file it speaks of."""
        return read_receipts(self.raw)


@dataclass(frozen=True)
class Evaluated:
    """One results table that was evaluated: its experiments, its split family and the folder that holds its files."""

    table: str
    family: str
    folder: Path
    experiments: list[str]

    @property
    def title(self) -> str:
        """The table, and its family where that is not the one trained on."""
        return self.table if self.folder.parent.name != "by_family" else f"{self.table} ({self.family})"

    def folds(self, run: Run) -> Path:
        """The folds that its experiments were trained and tested on."""
        name = "folds.parquet" if self.folder == run.results else f"families/{self.family}.parquet"
        return run.results / "split" / name

    def predictions(self) -> list[Path]:
        """The predictions of its experiments."""
        pattern = "seed_*/fold_*/predictions.parquet"
        return sorted(path for name in self.experiments for path in (self.folder / "train" / name).glob(pattern))


def evaluated(run: Run) -> list[Evaluated]:
    """The results tables of the run that have metrics, those on other split families last; table1 in any case."""
    settings, found = run.config.evaluate, []
    for table, names in settings.tables().items():
        if table == "table1" or (run.results / "evaluate" / table / "metrics.parquet").is_file():
            found.append(Evaluated(table, run.config.split.family, run.results, names))
    for family in settings.by_family.families:
        place = run.results / "by_family" / family
        if (place / "evaluate/families/metrics.parquet").is_file():
            found.append(Evaluated("families", family, place, settings.by_family.experiments))
    return found


def table_files(results: Path, name: str) -> list[Path]:
    """The files below `results` that hold the table `name`."""
    return sorted(path for pattern in LOCATIONS[name] for path in results.glob(pattern))


def read_receipts(raw: Path) -> list[dict[str, Any]]:
    """The receipts below `raw`, each with `file`; raises InputError for one that is not a JSON object."""
    receipts = []
    for path in sorted((raw / "sources").glob("*/*.receipt.json")):
        receipt = read_json(path)
        receipt["file"] = path.with_name(path.name.removesuffix(".receipt.json"))
        receipts.append(receipt)
    return receipts


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises InputError when it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def load_run(results: Path, config: Path) -> Run:
    """The run in the folder `results`, as run.json (`config`) describes it."""
    description = read_json(config)
    if "config" not in description:
        raise InputError(f"{config}: expected the key 'config', found {sorted(description)}")
    settings = parse_config(description["config"])
    paths = settings.paths
    return Run(results, Path(paths.raw), Path(paths.curation), settings, description)


def some(names: Iterable[Any], count: int = 3) -> str:
    """The first few of many names, as text."""
    ordered = sorted(str(name) for name in names)
    return ", ".join(ordered[:count]) + (f", ... ({len(ordered)} in all)" if len(ordered) > count else "")
