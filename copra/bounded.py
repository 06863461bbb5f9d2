"""Reading files that may be packed, up to a bound: a small file must not become more text than the memory holds.

The bounds are no science: they lie far beyond any real file of the kind.
"""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

from copra.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
PIECE_BYTES = 1 << 20

# One coordinate file or one FASTA file: five million atoms at 100 bytes each; reading atoms needs some 20 bytes each.
MAX_TEXT_BYTES = 2**29
# A table of labels, mutations, pairs or entries, or the parts of a workbook; as rows it takes several times as much.
MAX_TABLE_BYTES = 2**27
# Of a workbook, over all sheets: a single cell in the last corner of a sheet makes it a table of 17 billion.
MAX_CELLS = 5_000_000


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a file or pipe, unpacked when it is gzip.

    Raises InputError, without having read on, for more than `max_bytes`; OSError, EOFError and zlib.error as gzip does.
    """
    with path.open("rb") as handle:
        packed = handle.peek(2)[:2] == GZIP_MAGIC
        stream = gzip.GzipFile(fileobj=handle) if packed else handle
        taken = bytearray()
        while piece := stream.read(PIECE_BYTES):
            taken += piece
            if len(taken) > max_bytes:
                raise InputError(too_large(path, max_bytes))
    return bytes(taken)


def unpacked_bytes(path: Path) -> int:
    """What the members of a zip file are unpacked, in all, by their own statement, beyond which zipfile does not go.

    Raises zipfile.BadZipFile and OSError.
    """
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def too_large(path: Path, max_bytes: int) -> str:
    """The text of the error: file, bound and what to do."""
    return f"{path}: expected at most {max_bytes} bytes when unpacked, found more; cut it to what is needed"
