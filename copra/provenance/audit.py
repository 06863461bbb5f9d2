"""The audit: every check on a run, as a table and as a page."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pandas as pd

from copra.errors import CopraError
from copra.evaluate.html import render
from copra.files import replacing
from copra.provenance.checks import CHECKS, PREDICTION_CHECKS, Checks
from copra.provenance.findings import Finding
from copra.provenance.results import Run, load_run
from copra.tables import TABLES, write_table

log = logging.getLogger(__name__)

TEMPLATE = Path(__file__).with_name("audit.html.j2")


def audit(results: Path, *, config: Path, findings: Path, page: Path) -> int:
    """Check every table of the data sets against its sources and its sums; returns 1 when a check fails, else 0.

    `config` is the run's run.json. Writes the table `findings` and an HTML page. A table that cannot be
    read fails the checks that need it.
    """
    return _audit(CHECKS, load_run(results, config), findings, page)


def audit_predictions(results: Path, *, config: Path, findings: Path, page: Path) -> int:
    """Check the predictions of every experiment against the records and folds; else as `audit`."""
    return _audit(PREDICTION_CHECKS, load_run(results, config), findings, page)


def _audit(checks: Checks, run: Run, findings: Path, page: Path) -> int:
    rows = [row for check in checks for row in run_check(check, run)]
    table = pd.DataFrame(rows, columns=TABLES["findings"].schema().names)
    write_table(table, findings, "findings")
    with replacing(page) as temporary:
        temporary.write_text(as_page(checks, table, run), encoding="utf-8")
    failed = table[table["verdict"] == "fail"]
    for row in failed.itertuples(index=False):
        log.error("%s: %s: %s", row.check, row.subject, row.detail)
    log.info("audit: %s", dict(Counter(table["verdict"])))
    return int(len(failed) > 0)


def run_check(check: object, run: Run) -> list[dict[str, str]]:
    """The findings of one check as rows of the table `findings`."""
    assert callable(check)
    name: str = check.__name__  # type: ignore[attr-defined]
    try:
        found: list[Finding] = check(run)
    except CopraError as error:
        found = [Finding("input", "fail", str(error))]
    return [{"check": name, "subject": f.subject, "verdict": f.verdict, "detail": f.detail} for f in found]


def as_page(checks: Checks, table: pd.DataFrame, run: Run) -> str:
    """The audit as one HTML page: what failed first, then every check with what it found."""
    shown = []
    for check in checks:
        part = table[table["check"] == check.__name__]
        verdicts = set(part["verdict"])
        verdict = "fail" if "fail" in verdicts else "note" if verdicts == {"note"} else "pass"
        meaning = (check.__doc__ or "").strip().splitlines()[0]
        shown.append({"name": check.__name__, "meaning": meaning, "verdict": verdict, "rows": part.to_dict("records")})
    count = Counter(check["verdict"] for check in shown)
    return render(TEMPLATE, title=run.config.evaluate.title, checks=shown, count=count)
