"""What the command lines of `copra predict` and `copra scan` share: lists of names, checkpoint files, facts to show."""

from __future__ import annotations

from pathlib import Path

from copra.errors import InputError
from copra.predict.package import Package


def chain_names(text: str) -> list[str] | None:
    """`A,B` as a list; None where nothing is named."""
    return [name.strip() for name in text.split(",") if name.strip()] or None


def named_files(items: list[str]) -> dict[str, Path]:
    """`NAME=FILE` of --weights by name; raises InputError for something else and for a name that comes twice."""
    found: dict[str, Path] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not (name and equals and path):
            raise InputError(f"--weights: found {item!r}, expected NAME=FILE")
        if name in found:
            raise InputError(f"--weights: found {name} twice, expected one file for it")
        found[name] = Path(path)
    return found


def model_facts(package: Package) -> dict[str, str]:
    """The provenance of the model by name, as pages and files show it."""
    told, data = package.metrics, package.data
    scores = {"RMSE": (told.rmse_kcal_mol, " kcal/mol"), "MAE": (told.mae_kcal_mol, " kcal/mol")}
    scores |= {"PCC": (told.pcc, ""), "SCC": (told.scc, "")}
    shown = ", ".join(f"{name} {value:.3f}{unit}" for name, (value, unit) in scores.items() if value is not None)
    facts = {
        "experiment": package.name,
        "architecture": package.architecture,
        "weights": package.weights_text,
        "members": str(len(package.members)),
        "data": (
            f"{data.n_records} labelled records in {data.n_clusters} clusters, folds {data.split_family}; "
            f"their table has sha256 {data.records_sha256}"
        ),
        "temperature": f"the labels are dG at their own temperatures, median {data.temperature_k:g} K",
        "metrics": f"{shown} on {told.n_records} records, each by models that had not seen it" if shown else "",
        "protocol": package.protocol,
        "commit": package.git_commit,
        "notice": package.notice,
    }
    return {name: text for name, text in facts.items() if text}
