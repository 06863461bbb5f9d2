"""Arrays of many entries, put away on disk as they come: memory holds one entry, however many a file has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import h5py
import numpy as np
import numpy.typing as npt

BLOCK_BYTES = 2**22  # what is copied at a time


class Spool:
    """Rows of named arrays in nameless files, which the system takes away however the process ends; use with `with`."""

    def __init__(self, arrays: Mapping[str, tuple[str, tuple[int, ...]]], folder: Path) -> None:
        """`arrays` are name -> (type, shape of a row); the files lie in `folder`."""
        self._kinds = {name: np.dtype((kind, shape)) for name, (kind, shape) in arrays.items()}
        self._rows = dict.fromkeys(arrays, 0)
        self._open = ExitStack()
        self._files = {name: self._open.enter_context(_nameless(folder)) for name in arrays}

    def __enter__(self) -> Spool:
        """The spool itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._open.close()

    def add(self, name: str, values: npt.NDArray) -> slice:
        """Put rows [n, ...] away; returns where they are."""
        kind = self._kinds[name]
        start = self._rows[name]
        self._files[name].write(np.ascontiguousarray(values, dtype=kind.base).tobytes())
        self._rows[name] += len(values)
        return slice(start, self._rows[name])

    def write(self, name: str, parts: Iterable[slice], group: h5py.Group) -> h5py.Dataset:
        """Make the contiguous dataset `name` of all rows, the parts in this order; together they are all rows once."""
        kind = self._kinds[name]
        dataset = group.create_dataset(name, (self._rows[name], *kind.shape), kind.base, track_times=False)
        start, n_bytes = 0, 0
        block: list[npt.NDArray] = []
        for part in parts:
            block.append(self._read(name, part))
            n_bytes += block[-1].nbytes
            if n_bytes >= BLOCK_BYTES:
                start, n_bytes, block = _append(dataset, start, block), 0, []
        _append(dataset, start, block)
        return dataset

    def _read(self, name: str, part: slice) -> npt.NDArray:
        kind, file = self._kinds[name], self._files[name]
        file.seek(part.start * kind.itemsize)
        data = file.read((part.stop - part.start) * kind.itemsize)
        return np.frombuffer(data, dtype=kind.base).reshape(-1, *kind.shape)


def _nameless(folder: Path) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)


def _append(dataset: h5py.Dataset, start: int, block: list[npt.NDArray]) -> int:
    stop = start + sum(map(len, block))
    if stop > start:
        dataset[start:stop] = np.concatenate(block)
    return stop
