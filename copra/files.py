"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it into place.

    If the body raises, the temporary file is removed and `path` is left as it was. A process killed inside the
    body leaves its temporary file; the name is always the same, so whoever writes `path` next takes it away.
    One process at a time may write a path; snakemake's lock on the folder sees to that.
    `durable=False` leaves the flushing to the system, several times faster for many small files: after a power cut
    `path` may hold anything, so it is for files whose sum is checked before they are used.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        if durable:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Hexadecimal sha256 of a text's UTF-8 bytes; the key of a sequence everywhere in copra."""
    return hashlib.sha256(text.encode()).hexdigest()
