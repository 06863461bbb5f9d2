"""The book of a judging step: one row per decision, one row per count, and the proof that nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from copra.errors import InputError
from copra.tables import empty_table, write_table

VERDICTS = ("keep", "drop", "prefer", "override", "flag")


@dataclass
class Book:
    """Decisions and counts of one step of one dataset; `first_order` numbers its counts from there on."""

    dataset: str
    step: str
    first_order: int
    decisions: list[dict[str, str]] = field(default_factory=list)
    counts: list[dict[str, str | int]] = field(default_factory=list)
    _known: set[tuple[str, str]] = field(default_factory=set)

    def decide(
        self,
        subject: str,
        rule: str,
        verdict: str,
        *,
        before: str = "",
        after: str = "",
        evidence: str = "",
        note: str = "",
    ) -> None:
        """Write down one decision; raises ValueError for a verdict that does not exist."""
        if verdict not in VERDICTS:
            raise ValueError(f"verdict '{verdict}' is none of {VERDICTS}")
        self._known.add((subject, rule))
        self.decisions.append(
            {
                "step": self.step, "subject": subject, "rule": rule, "verdict": verdict, "before": before,
                "after": after, "evidence": evidence, "note": note,
            }
        )  # fmt: skip

    def is_decided(self, subject: str, rule: str) -> bool:
        """Whether a decision on this subject by this rule stands in the book."""
        return (subject, rule) in self._known

    def count(self, reason: str, rows_in: int, rows_out: int) -> None:
        """Write down how many rows went into and came out of one reason."""
        self.counts.append(
            {
                "dataset": self.dataset, "order": self.first_order + len(self.counts), "step": self.step,
                "reason": reason, "rows_in": rows_in, "rows_out": rows_out,
            }
        )  # fmt: skip

    def write(self, decisions: Path, funnel: Path) -> None:
        """Write the tables `decisions` and `funnel`."""
        for rows, path, name in ((self.decisions, decisions, "decisions"), (self.counts, funnel, "funnel")):
            write_table(pd.DataFrame(rows) if rows else empty_table(name), path, name)


def check_conservation(measurements: pd.DataFrame, decisions: pd.DataFrame) -> list[str]:
    """What is wrong with the verdicts on measurements: an empty list when each has exactly one.

    `measurements` are all rows of the table `measurements`; `decisions` those of all judging steps together.
    """
    of_measurements = decisions[decisions["subject"].isin(measurements["measurement_id"])]
    counts = of_measurements.groupby("subject").size().reindex(measurements["measurement_id"], fill_value=0)
    return [f"{subject}: {count} verdicts, expected 1" for subject, count in counts.items() if count != 1]


def require_unique(frame: pd.DataFrame, column: str, name: str) -> None:
    """Raise InputError when two rows of the table `name`, read from several files, have the same id."""
    twice = frame[frame.duplicated(column)]
    if len(twice):
        raise InputError(
            f"table '{name}': two rows have the {column} {twice[column].iloc[0]!r}; is a source listed twice?"
        )


def rows_as_dicts(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame, each as column -> value."""
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]
