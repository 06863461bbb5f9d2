"""Reading a configuration: `config.yaml` is the complete one, a file given with `--configfile` overrides parts of it.

Everything is checked before any job.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from copra.config import Config
from copra.errors import ConfigError


def parse_config(values: dict[str, Any]) -> Config:
    """Check a configuration.

    Raises ConfigError with the path of each refused key, what was found and what is allowed.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def load_config(*paths: Path) -> Config:
    """Read and check a configuration: one complete file, then files that override parts of it, as snakemake does."""
    values: dict[str, Any] = {}
    for path in paths:
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: not a readable YAML file: {error}") from error
        if not isinstance(found, dict):
            raise ConfigError(f"{path}: expected keys with values, found {found!r:.80}")
        _override(values, found)
    return parse_config(values)


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
        raise ConfigError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        found, text = problem["input"], problem["msg"]
        if problem["type"] == "extra_forbidden":
            text = f"unknown key; found the value {found!r}"
        elif problem["type"] == "missing":
            text = "missing; every key of config.yaml is needed"
        elif not isinstance(found, dict):
            text = f"found {found!r}; {text}"
        lines.append(f"{'.'.join(map(str, problem['loc'])) or 'configuration'}: {text}")
    return "configuration refused:\n  " + "\n  ".join(lines)
