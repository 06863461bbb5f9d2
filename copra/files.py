"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from copra.errors import OutputError

# what a disk or its owner refuses, and what the user does about it
REFUSED = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there or ask for a larger quota",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f)",
    errno.EROFS: "mount it for writing or choose another folder",
    errno.EACCES: "get the permission or choose another folder",
    errno.EIO: "look after the disk",
}
# what a new file may be by the user's umask, read while there is one thread
_MASK = os.umask(0o077)
os.umask(_MASK)
NEW_FILE = 0o666 & ~_MASK
LIBRARIES_SAY = re.compile(r"(?:errno = |os error |errno )(\d+)")  # HDF5, Rust and Arrow


def refusal(error: Exception) -> str:
    """What refused that a file be written, and what to do; nothing where the error is of another kind.

    HDF5 and safetensors may raise errors that carry the number of the system's error in their text alone.
    """
    number = getattr(error, "errno", None)
    told = LIBRARIES_SAY.search(str(error)) if number is None else None
    number = int(told[1]) if told else number
    if number not in REFUSED:
        return ""
    return f"{os.strerror(number).lower()}; {REFUSED[number]}, then type the same command again"


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it into place.

    If the body raises, the temporary file is removed and `path` is left as it was; what the disk refuses is an
    OutputError that names `path`. A process killed inside the body leaves its temporary file; whoever writes `path`
    next takes it away. Each writer has a name of its own: a job that outlives a killed snakemake loses its file to
    the next one instead of putting that one's half under `path`.
    `durable=False` leaves the flushing to the system, several times faster for many small files: after a power cut
    `path` may hold anything, so it is for files whose sum is checked before they are used.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        _take_away_leftovers(path)
        yield temporary
        if durable:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
        temporary.chmod(NEW_FILE)  # safetensors makes files that nobody but their owner may read
        os.replace(temporary, path)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:  # what libraries make of a full disk
        if (why := refusal(error)) and not _is_of_another_file(error, temporary):
            raise OutputError(f"{path}: cannot be written: {why}") from error
        raise
    finally:
        with suppress(OSError):  # a read-only file system refuses that too, and there is nothing to remove
            temporary.unlink()


def _is_of_another_file(error: Exception, temporary: Path) -> bool:
    """Whether permission was refused to a file that the body reads."""
    name = getattr(error, "filename", None)
    return getattr(error, "errno", None) == errno.EACCES and name not in (None, str(temporary), str(temporary.parent))


def _take_away_leftovers(path: Path) -> None:
    """Remove the temporary files of earlier writers of `path`."""
    name = re.compile(rf"\.{re.escape(path.name)}(\.[0-9a-f]{{8}})?\.tmp")
    with os.scandir(path.parent) as found:
        left = [entry.path for entry in found if name.fullmatch(entry.name)]
    for leftover in left:
        Path(leftover).unlink(missing_ok=True)


def sha256_of_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Hexadecimal sha256 of a text's UTF-8 bytes; the key of a sequence everywhere in copra."""
    return hashlib.sha256(text.encode()).hexdigest()
