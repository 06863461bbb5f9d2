"""Writing HDF5 files where the disk may be full.

On a full disk the HDF5 library (2.0, h5py 3.16) may end the process with a segmentation fault when it closes the file.
So it writes into a file object that never refuses: what the system refuses is kept, and raised when the library is
done.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


@contextmanager
def new_hdf5(path: Path, **how: Any) -> Iterator[h5py.File]:
    """A new HDF5 file at `path`, to write within `copra.files.replacing`; `how` goes to h5py.File.

    Raises OSError where the system refused a write, whatever the library made of it.
    """
    with _Accepting(path) as accepting:
        try:
            with h5py.File(accepting, "w", **how) as file:
                yield file
        finally:
            if accepting.refused is not None:
                raise accepting.refused


class _Accepting(io.FileIO):
    """A file that takes every write; after the first that the system refused, none reaches it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self.refused: OSError | None = None
        self._at = self._end = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; the end is where it would be had all been written."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return super().seek(self._at)

    def write(self, data: Any, /) -> int:
        """Write all of `data`."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.refused is None:  # an unbuffered write may take less than it is given
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.refused = error
        self._at += size
        self._end = max(self._end, self._at)
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or lengthen the file."""
        self._end = self._at if size is None else size
        try:
            if self.refused is None:
                super().truncate(self._end)
        except OSError as error:
            self.refused = error
        return self._end

    def readinto(self, buffer: Any, /) -> int:
        """Read; zeros where nothing reached the disk."""
        view = memoryview(buffer).cast("B")
        found = super().readinto(view) or 0
        view[found:] = bytes(len(view) - found)
        self._at += len(view)
        super().seek(self._at)
        return len(view)
