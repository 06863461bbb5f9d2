"""What is wrong with a configuration, for the person who wrote it: file, key, what was found, what was expected.

At most five lines, however many mistakes there are: the first three, and what to do next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from copra.errors import ConfigError, shown
from copra.nearest import nearest
from copra.yaml_file import read_yaml, shown_value

SHOWN = 3
Key = tuple[str | int, ...]

# keys that people expect and copra has not, with what they want instead
ELSEWHERE = {
    "device": "copra computes on the GPU that PyTorch sees; say `--resources gpu=1` to snakemake",
    "gpu": "copra computes on the GPU that PyTorch sees; say `--resources gpu=1` to snakemake",
    "cores": "say `--cores N` to snakemake",
    "threads": "say `--cores N` to snakemake",
}


def explain(error: ValidationError, values: dict[str, Any], files: Sequence[Path]) -> str:
    """The text for a refused configuration.

    `values` is the whole of it and `files` are those it was read from, each overriding those before; where there are
    none, as for a part that a rule hands over, no file is named.
    """
    told = _problems(error, values)
    parsed = [(path, _read(path)) for path in reversed(files)]
    lines = [
        f"  {shown('.'.join(map(str, key))) or 'configuration'}: {text}{_in_file(key, parsed)}"
        for key, text in told[:SHOWN]
    ]
    if len(told) > SHOWN:
        lines.append(f"and {len(told) - SHOWN} more mistakes; config.yaml has every key with its comment")
    elif files:
        lines.append("config.yaml has every key with its comment: mend this and type the same command again")
    return "configuration refused:\n" + "\n".join(lines)


def _problems(error: ValidationError, values: dict[str, Any]) -> list[tuple[Key, str]]:
    told: list[tuple[Key, str]] = []
    missing: dict[Key, list[str]] = {}
    for problem in error.errors():
        key = _as_written(problem["loc"], values)
        found, text, context = problem["input"], problem["msg"], problem.get("ctx", {})
        if problem["type"] == "missing":
            missing.setdefault(key[:-1], []).append(str(key[-1]))
        elif problem["type"] == "extra_forbidden":
            told.append((key, f"unknown key; found the value {shown_value(found)}; {_meant(key, values)}"))
        elif problem["type"] == "union_tag_not_found":
            missing.setdefault(key, []).append(str(context["discriminator"]).strip("'"))
        elif problem["type"] == "union_tag_invalid":
            kinds = re.findall(r"'([^']*)'", str(context["expected_tags"]))
            key = (*key, str(context["discriminator"]).strip("'"))
            told.append((key, f"found '{context['tag']}'; {nearest(context['tag'], kinds)}"))
        elif problem["type"] == "value_error":
            # a check of several keys names them itself
            told.append(_named_within(key, text.removeprefix("Value error, ")))
        else:
            told.append((key, text if isinstance(found, dict) else f"found {shown_value(found)}; {text}"))
    if () in missing:  # no complete configuration: what else is wrong follows from that
        told, missing = [], {(): missing[()]}
    for key, names in missing.items():
        alone = len(names) == 1 and bool(key)
        whole = (*key, names[0]) if alone else key
        told.append((whole, "missing; every key is needed" if alone else _what_is_missing(key, names, values)))
    return told


def _named_within(key: Key, text: str) -> tuple[Key, str]:
    path, colon, rest = text.partition(": ")
    parts = tuple(path.split("."))
    if colon and re.fullmatch(r"\w+(\.\w+)*", path) and parts[: len(key)] == key:
        return parts, rest
    return key, text


def _what_is_missing(key: Key, names: list[str], values: dict[str, Any]) -> str:
    first = f"the keys {', '.join(names[:3])} are missing"
    if not key:
        return f"{first}, in all {len(names)}; name the complete file first: config.yaml mine.yaml"
    # a mistyped name makes a new entry, which lacks what the one that was meant has
    siblings = [name for name in _at(key[:-1], values) or () if name != key[-1]] if len(key) > 1 else []
    return f"{first}, every key is needed" + (f"; {nearest(key[-1], siblings)}" if siblings else "")


def _meant(key: Key, values: dict[str, Any]) -> str:
    """What an unknown key may be: every key of config.yaml is needed, so those beside it are the known ones."""
    if (name := str(key[-1])) in ELSEWHERE:
        return ELSEWHERE[name]
    return nearest(name, [other for other in _at(key[:-1], values) or () if other != key[-1]])


def _as_written(location: tuple[str | int, ...], values: Any) -> Key:
    """The path of a key without what the checks put in between: the kind of an experiment, of a split family."""
    key: list[str | int] = []
    for number, part in enumerate(location):
        inside = isinstance(values, dict) and part in values
        inside = inside or (isinstance(values, list) and isinstance(part, int) and part < len(values))
        if inside:
            values = values[part]
        if inside or number == len(location) - 1 or not isinstance(values, dict):
            key.append(part)
    return tuple(key)


def _at(key: Key, values: Any) -> dict[str, Any] | None:
    for part in key:
        values = values.get(part) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else None


def _in_file(key: Key, parsed: Sequence[tuple[Path, Any]]) -> str:
    """The first of the files, the last one given first, that has the key, or else the longest beginning of it."""
    for length in range(len(key), 0, -1):
        for path, values in parsed:
            above = _at(key[: length - 1], values)
            if above is not None and key[length - 1] in above:
                return f" (in {path})"
    return " (given with --config)" if parsed and key else ""


def _read(path: Path) -> Any:
    try:
        return read_yaml(path)
    except ConfigError:
        return None
