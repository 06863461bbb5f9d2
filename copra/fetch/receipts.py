"""Receipts: what stands beside a file that was brought."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from copra.files import replacing


@dataclass(frozen=True)
class Receipt:
    """Where a file came from and what it was when it came."""

    source: str
    version: str
    url: str
    sha256: str
    bytes: int
    status: str  # "fetched" | "missing"
    detail: str
    retrieved: str = ""  # when the bytes came, in UTC; only for the files of sources


def write_receipt(receipt: Receipt, path: Path, *, durable: bool = True) -> None:
    """Write a receipt as JSON; `retrieved` only where it is known. `durable` as in copra.files.replacing."""
    said = {name: value for name, value in vars(receipt).items() if name != "retrieved" or value}
    with replacing(path, durable=durable) as temporary:
        temporary.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_receipt(path: Path) -> Receipt | None:
    """The receipt at `path`; None where there is none or it is not one."""
    try:
        return Receipt(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def receipt_path(path: Path) -> Path:
    """Where the receipt of the file `path` is."""
    return path.with_name(f"{path.name}.receipt.json")
