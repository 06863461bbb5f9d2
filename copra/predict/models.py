"""The list that `copra models` prints: the model packages of a run, ready to predict with."""

from __future__ import annotations

import textwrap
from pathlib import Path

from copra.errors import InputError, shown
from copra.predict.package import MODEL, Description, read_description

HEADINGS = ("package", "model", "language-model weights", "records", "members", "RMSE", "PCC")
RIGHT = ("records", "members", "RMSE", "PCC")
WIDTH = 120
SHA256_SHOWN = 12  # digits


def models(results: Path) -> None:
    """Print the model packages below a results folder: the whole ones first, of these the best RMSE first.

    RMSE (kcal/mol) and PCC are those of all labelled records, each predicted by models that had not seen it.
    `members` counts the models that are there, of those that were trained. Raises InputError where there is none.
    """
    print("\n".join(shown(line) for line in _lines(results)))  # noqa: T201 (this verb is for reading)


def _lines(results: Path) -> list[str]:
    folder = results / "models" if (results / "models").is_dir() else results
    found = [(path.parent, read_description(path.parent)) for path in sorted(folder.glob(f"*/{MODEL}"))]
    if not found:
        raise InputError(
            f"{results}: no model package in {folder}/*/{MODEL}; `snakemake models` makes one of every neural "
            "experiment of table 1"
        )
    found.sort(key=lambda one: (bool(one[1].missing_members), _or_last(one[1].metrics.rmse_kcal_mol), one[0].name))
    rows = [HEADINGS, *(_row(path, told) for path, told in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = []
    for row in rows:
        cells = zip(HEADINGS, row, widths, strict=True)
        lines.append("  ".join(c.rjust(w) if h in RIGHT else c.ljust(w) for h, c, w in cells).rstrip())
    lines += ["", f"Predict with one of them: copra predict FILE --model {folder}/PACKAGE"]
    for text in dict.fromkeys(note for path, told in found for note in _notes(path.name, told)):
        lines += ["", *textwrap.wrap(text, WIDTH)]
    return lines


def _row(path: Path, told: Description) -> tuple[str, ...]:
    metrics, n_all = told.metrics, len(told.members) + len(told.missing_members)
    members = str(n_all) if not told.missing_members else f"{len(told.members)} of {n_all}"
    used = [lm for lm in (told.language_models.protein, told.language_models.rna) if lm]
    weights = "; ".join(f"{lm.name} {_short(lm.weights)}" for lm in used)
    rmse, pcc = ("-" if value is None else f"{value:.3f}" for value in (metrics.rmse_kcal_mol, metrics.pcc))
    return path.name, told.settings.model, weights or "none", str(told.data.n_records), members, rmse, pcc


def _notes(name: str, told: Description) -> list[str]:
    """What a reader has to know of the numbers."""
    notes = [told.notice] if told.notice else []
    if "random:" in told.weights_text:
        notes.append("random: this language model has random weights, not trained ones.")
    notes += [
        f"{name}: the model of seed {gone.seed}, fold {gone.fold} is missing: {gone.reason}"
        for gone in told.missing_members
    ]
    n_scored, n_all = told.metrics.n_records, told.data.n_records
    return notes + ([f"{name}: RMSE and PCC are over {n_scored} of {n_all} records."] if n_scored < n_all else [])


def _short(weights: str) -> str:
    kind, _, value = weights.partition(":")
    return f"{kind}:{value[:SHA256_SHOWN]}"


def _or_last(value: float | None) -> float:
    return float("inf") if value is None else value
