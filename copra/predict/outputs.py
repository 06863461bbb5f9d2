"""Predictions of many files as a table (CSV) and as JSON; a file that failed is a row with its reason."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from copra.errors import shown
from copra.files import replacing
from copra.predict.page import format_molar, notices
from copra.predict.result import Prediction

OK, FAILED = "ok", "failed"
COLUMNS = (
    "file", "complex_id", "dg_kcal_mol", "dg_low_kcal_mol", "dg_high_kcal_mol", "coverage", "temperature_k",
    "kd_molar", "kd_low_molar", "kd_high_molar", "members_sd_kcal_mol", "n_members", "nearest_training_record",
    "nearest_protein_identity", "nearest_rna_identity", "nearest_dg_kcal_mol", "model", "weights", "warnings",
    "status", "reason",
)  # fmt: skip
BETWEEN_WARNINGS = " | "
ASSUMPTION = (
    "dG is what the model was trained on: labels at the temperatures of their own measurements. "
    "Kd = exp(dG / RT) at the stated temperature takes dG as the same at both temperatures."
)


@dataclass(frozen=True)
class Outcome:
    """One file: its prediction, or in one line why there is none."""

    file: Path
    prediction: Prediction | None
    reason: str


def write_csv(outcomes: Sequence[Outcome], out: Path) -> None:
    """One row per file, in the order given, of COLUMNS; empty cells where there is no value.

    Energies in kcal/mol, Kd in mol/l, identities and coverage as fractions; warnings are joined by ` | `.
    """
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(outcome) for outcome in outcomes)


def write_json(outcomes: Sequence[Outcome], model: dict[str, str], out: Path) -> None:
    """All that is known: the model, what is assumed, and per file the prediction with residues and contacts.

    Numbers that are none are null; field names carry their units.
    """
    told = [
        {"file": shown(o.file), "status": FAILED if o.prediction is None else OK, "reason": o.reason}
        | ({} if o.prediction is None else _told(o.prediction))
        for o in outcomes
    ]
    text = json.dumps(_plain({"model": model, "assumption": ASSUMPTION, "predictions": told}), indent=1)
    with replacing(out) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def summary(prediction: Prediction) -> str:
    """A prediction in one line for a terminal."""
    p = prediction
    ends = f" ({100 * p.coverage:g} %: {p.dg_low_kcal_mol:.2f} to {p.dg_high_kcal_mol:.2f})"
    between = f" ({format_molar(p.kd_low_molar)} to {format_molar(p.kd_high_molar)})"
    has_ends = math.isfinite(p.dg_low_kcal_mol)
    return (
        f"{p.chosen.file}: {p.chosen.complex_id}  dG {p.dg_kcal_mol:.2f}{ends if has_ends else ''} kcal/mol  "
        f"Kd {format_molar(p.kd_molar)}{between if has_ends else ''} at {p.temperature_k:g} K"
    )


def _row(outcome: Outcome) -> dict[str, Any]:
    p = outcome.prediction
    if p is None:
        return {"file": shown(outcome.file), "status": FAILED, "reason": outcome.reason}
    members = np.array(p.members_dg_kcal_mol)
    (record, identity, near_dg), rna_identity = p.nearest_training[0], p.nearest_rna_identity[0]
    numbers = {
        "dg_kcal_mol": p.dg_kcal_mol, "dg_low_kcal_mol": p.dg_low_kcal_mol, "dg_high_kcal_mol": p.dg_high_kcal_mol,
        "members_sd_kcal_mol": float(members.std(ddof=1)) if len(members) > 1 else math.nan,
        "nearest_protein_identity": identity, "nearest_rna_identity": rna_identity, "nearest_dg_kcal_mol": near_dg,
    }  # fmt: skip
    kd = {"kd_molar": p.kd_molar, "kd_low_molar": p.kd_low_molar, "kd_high_molar": p.kd_high_molar}
    return {
        "file": shown(outcome.file), "complex_id": p.chosen.complex_id, "coverage": p.coverage,
        "temperature_k": p.temperature_k, "n_members": len(members), "nearest_training_record": record,
        "model": p.model["experiment"], "weights": p.model["weights"],
        "warnings": BETWEEN_WARNINGS.join(notices(p)), "status": OK, "reason": "",
    } | {name: f"{value:.4f}" if math.isfinite(value) else "" for name, value in numbers.items()} | {
        name: f"{value:.4g}" if math.isfinite(value) else "" for name, value in kd.items()
    }  # fmt: skip


def _told(p: Prediction) -> dict[str, Any]:
    """A prediction's fields by name; the model and the training labels are the same for all and stand elsewhere."""
    names = ("record_id", "protein_identity", "dg_kcal_mol")
    nearest = [dict(zip(names, values, strict=True)) for values in p.nearest_training]
    shared = ("model", "training_dg_kcal_mol", "nearest_rna_identity")
    return {name: value for name, value in asdict(p).items() if name not in shared} | {
        "warnings": notices(p),
        "nearest_training": [n | {"rna_identity": r} for n, r in zip(nearest, p.nearest_rna_identity, strict=True)],
        "contacts": [{"protein": a, "rna": b, "distance_angstrom": d} for a, b, d in p.contacts],
    }


def _plain(value: Any) -> Any:
    """The value with null in the place of NaN and infinity, and floats of six decimals."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return (value if abs(value) < 1e-3 else round(value, 6)) if math.isfinite(value) else None
    return value
