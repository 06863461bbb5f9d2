"""What a mistyped name may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 6


def nearest(name: object, known: Iterable[object]) -> str:
    """The known name that is most like `name`, as a question; where none is, the first of those that are known."""
    names = sorted(map(str, known))
    alike = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if alike:
        return f"did you mean '{alike[0]}'?"
    if not names:
        return "none is known here"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"known are {', '.join(names[:LISTED])}{more}"
