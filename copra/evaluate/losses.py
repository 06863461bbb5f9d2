"""What the report says of files that could not be had, entries set aside and entries that gave way to others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from copra.provenance.results import Run

SHOWN = 50  # rows of a list; the rest is counted and its table named
REASON_LENGTH = 300  # characters; a failed download names every mirror


def losses(run: Run) -> dict[str, Any]:
    """The values of the page's part on losses.

    `missing_files` (kind, name, why) with every missing source and then every structure that was not brought;
    `quarantined` (entry, reason, detail) and their count by reason; `replaced` (obsolete entry, successor). Of each
    list the first 50, and the whole number beside it.
    """
    missing = _missing_sources(run) + _missing_structures(run)
    quarantined = _quarantined(run)
    replaced = _replaced(run.table("wanted_entries"))
    count = Counter(reason for _, reason, _ in quarantined)
    return {
        "anything_asked_for": bool(run.receipts()) or len(run.table("wanted_entries")) > 0,
        "missing_files": missing[:SHOWN],
        "n_missing_files": len(missing),
        "missing_structures_are": run.config.fetch.missing_structures,
        "quarantined": quarantined[:SHOWN],
        "n_quarantined": len(quarantined),
        "quarantine_reasons": [
            (reason, f"{count[reason]:,}") for reason in sorted(count, key=lambda r: (-count[r], r))
        ],
        "replaced": replaced[:SHOWN],
        "n_replaced": len(replaced),
    }


def _missing_sources(run: Run) -> list[tuple[str, str, str]]:
    missing = [receipt for receipt in run.receipts() if receipt.get("status") == "missing"]
    return sorted(("source", str(r.get("source", "")), _first_line(str(r.get("detail", "")))) for r in missing)


def _missing_structures(run: Run) -> list[tuple[str, str, str]]:
    """Entries without a coordinate file, as the fetch and the reading of structures tell them."""
    fetched, entries = run.table("fetched"), run.table("entries")
    told = _details(entries[entries["reason"] == "not_fetched"])
    told |= _details(fetched[fetched["status"] == "missing"])
    return [("structure", pdb_id, _first_line(told[pdb_id])) for pdb_id in sorted(told)]


def _details(rows: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rows["pdb_id"], rows["detail"], strict=True))


def _quarantined(run: Run) -> list[tuple[str, str, str]]:
    entries = run.table("entries")
    rows = entries[(entries["status"] == "quarantined") & (entries["reason"] != "not_fetched")]
    found = zip(rows["pdb_id"], rows["reason"], rows["detail"], strict=True)
    return sorted((pdb_id, reason, _first_line(detail)) for pdb_id, reason, detail in found)


def _replaced(wanted: pd.DataFrame) -> list[tuple[str, str]]:
    rows = zip(wanted["pdb_id"], wanted["replaces"], strict=True)
    return sorted((old, pdb_id) for pdb_id, replaces in rows for old in replaces.split(",") if old)


def _first_line(text: str) -> str:
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= REASON_LENGTH else f"{line[: REASON_LENGTH - 3]}..."
