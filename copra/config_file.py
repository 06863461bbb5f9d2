"""Reading a configuration: `config.yaml` is the complete one, a file given with `--configfile` overrides parts of it.

Everything is checked before any job.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from copra.config import Config
from copra.config_problems import explain
from copra.errors import ConfigError
from copra.yaml_file import read_yaml


def parse_config(values: dict[str, Any], files: Sequence[Path] = ()) -> Config:
    """Check a configuration.

    `files` are those it was read from, each overriding those before. Raises ConfigError with the path of each refused
    key, its file, what was found and what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, values, files)) from None


def load_config(*paths: Path) -> Config:
    """Read and check a configuration: one complete file, then files that override parts of it, as snakemake does."""
    values: dict[str, Any] = {}
    for path in paths:
        _override(values, read_yaml(path))
    return parse_config(values, paths)


def _override(values: dict[str, Any], by: dict[str, Any]) -> None:
    for key, value in by.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _override(values[key], value)
        else:
            values[key] = value


def parse_settings(kind: Any, text: str) -> Any:
    """One part of the configuration from JSON, as the rules hand it over."""
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, {}, ())) from None
