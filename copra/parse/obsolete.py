"""The archive's list of obsolete entries, and which entries stand in for them today."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from copra.errors import InputError
from copra.parse.cells import read_text

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9_]+")
_EXTENDED = re.compile(r"pdb_0000([0-9][a-z0-9]{3})")


def same_entry_key(pdb_id: str) -> str:
    """What two ids of one entry have in common: `1abc` for `1abc` and for its extended form `pdb_00001abc`.

    Only for comparing: no id is replaced by its key, and an extended id that has no short form is its own key.
    """
    match = _EXTENDED.fullmatch(pdb_id)
    return match.group(1) if match else pdb_id


def read_obsolete(path: Path) -> dict[str, tuple[str, ...]]:
    """Obsolete entry, as its `same_entry_key`, -> the entries that replaced it, in lower case; none where withdrawn.

    `path` is the wwPDB's obsolete.dat: a heading, then lines `OBSLTE    31-JUL-94 116L     216L`. An empty file gives
    an empty dictionary: the source could not be had. A line that is not understood is logged and left out. Raises
    InputError when no line is such a line.
    """
    text = read_text(path)
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words[:1] != ["OBSLTE"]:
            continue
        ids = [word.lower() for word in words[2:]]
        if not ids or not all(map(_ID.fullmatch, ids)):
            log.warning("%s, line %d: not understood and left out: %s", path, number, line)
            continue
        key = same_entry_key(ids[0])
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), *ids[1:])))
    if text.strip() and not found:
        raise InputError(f"{path}: no line reads `OBSLTE    31-JUL-94 116L     216L`: not the list of obsolete entries")
    return found


def current_entries(pdb_id: str, obsolete: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The entries that stand in for an entry today, sorted: successors of successors, without those between.

    `obsolete` is what `read_obsolete` gives. An entry that is not obsolete, was withdrawn without a successor, or
    whose successors only lead back to it, stands for itself. A successor that was withdrawn in its turn is kept: it
    is the last word of the list.
    """
    ends, seen, waiting = set(), set(), [pdb_id]
    while waiting:
        name = waiting.pop()
        key = same_entry_key(name)
        if key in seen:
            continue
        seen.add(key)
        successors = obsolete.get(key, ())
        waiting += successors
        if not successors:
            ends.add(name)
    return tuple(sorted(ends)) or (pdb_id,)
