"""What a check of the audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a check found on one subject; `verdict` is pass, fail or note (a difference that is no fault)."""

    subject: str
    verdict: str
    detail: str


def judged(problems: Mapping[str, str], in_order: str) -> list[Finding]:
    """A failed finding per problem (subject -> detail), or one passed finding."""
    if problems:
        return [Finding(subject, "fail", detail) for subject, detail in sorted(problems.items())]
    return [Finding("all", "pass", in_order)]
