"""Reading one YAML file of keys with values. Little is imported here: ./run calls it at every start of snakemake."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any

import yaml

from copra.errors import ConfigError

# a value as messages show it: aliases make a few lines of YAML a list that no memory holds when it is written out
_FOUND = reprlib.Repr()
_FOUND.maxlevel, _FOUND.maxstring, _FOUND.maxother, _FOUND.maxlong = 3, 300, 300, 300


def shown_value(value: object) -> str:
    """A value in at most 80 letters."""
    return f"{_FOUND.repr(value):.80}"


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of one file; raises ConfigError naming the file and the line where it is no YAML."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable YAML file: {_in_one_line(error)}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected keys with values, found {shown_value(found)}")
    return found


def _in_one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"
