"""Files of embeddings: one array per distinct sequence, kept in HDF5 by the sequence's sha256.

Layout (uncompressed and contiguous: compression would save a tenth and cost a multiple in time):

    embedding           float16 | float32  [residues of all sequences, width]
    offset              int64              [sequences + 1]; sequence i owns the rows offset[i] : offset[i + 1]
    key                 S64                [sequences], sorted
    max_absolute_error  float32            [sequences]; largest |stored - computed| of an element
    max_relative_error  float32            [sequences]; largest |stored - computed| / |computed| of a residue's vector
    attributes          DESCRIPTION

The first 512 bytes, HDF5's user block, state the length and the sha256 of the bytes behind them. A file is summed
before the HDF5 library reads it for the audit or as a part: on a damaged file the library may not come back (of 300
small files with wrong bits, one).

What float16 costs is measured for every sequence while it is written; float32 costs nothing. ESM-2 8M with seeded
random weights over 60 proteins of PRA310 (12,752 residues; |element| up to 4.7): an element was off by 0.0019 at
most, a residue's vector by 2.5e-4 of its length. An element above 6e-5 is never off by more than 2^-11, 4.9e-4, of
itself; one above 65,504 does not fit and is an error.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from copra.errors import CopraError, InputError
from copra.files import replacing
from copra.hdf5 import new_hdf5

# what a file says of itself: files whose descriptions are equal hold values that may stand side by side
DESCRIPTION = (
    "language_model", "molecule_type", "weights", "layer", "width", "heads", "dtype", "residue_numbering", "device",
    "precision", "code", "versions",
)  # fmt: skip
SHARED = ("language_model", "molecule_type", "weights", "layer", "width")  # of all shards of one model
WHOLE_NUMBERS = ("layer", "width", "heads")
RESIDUE_NUMBERING = "0-based position in the full sequence, without cls/eos"
ERRORS = ("max_absolute_error", "max_relative_error")
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)  # what h5py raises on damage
USER_BLOCK_BYTES = 512
MAGIC = "copra embeddings"
SEAL = re.compile(rb"%s\nbytes (\d+)\nsha256 ([0-9a-f]{64})\n\0+$" % MAGIC.encode())

Description = Mapping[str, str | int]


@dataclass(frozen=True)
class Stored:
    """One sequence's embedding as it is stored, [residues, width], and what the rounding to its dtype cost."""

    values: np.ndarray
    max_absolute_error: float
    max_relative_error: float


def rounded(array: np.ndarray, dtype: str, key: str) -> Stored:
    """Round a float32 embedding [residues, width] of the sequence `key`; raises CopraError where a value overflows."""
    with np.errstate(over="ignore"):
        values = array.astype(dtype)
    if not np.isfinite(values).all():
        raise CopraError(f"an embedding value of sequence {key} does not fit {dtype}; use float32")
    difference = values.astype(np.float32) - array
    norm = np.linalg.norm(array, axis=1)
    relative = np.linalg.norm(difference, axis=1) / np.where(norm > 0, norm, 1)
    return Stored(values, float(np.abs(difference).max(initial=0)), float(relative.max(initial=0)))


def write_embeddings(
    path: Path, lengths: dict[str, int], description: Description, stored: Iterable[tuple[str, Stored]]
) -> None:
    """Write the embeddings of the sequences `lengths` (sha256 -> residues, sorted), whole or not at all.

    `stored` brings each of them once, in any order; the same values give the same bytes.
    """
    with replacing(path) as temporary:
        with new_hdf5(temporary, libver=("earliest", "v110"), userblock_size=USER_BLOCK_BYTES) as file:
            _fill(file, lengths, description, stored)
        _seal(temporary)


def _fill(
    file: h5py.File, lengths: dict[str, int], description: Description, stored: Iterable[tuple[str, Stored]]
) -> None:
    offset = np.concatenate(([0], np.cumsum(list(lengths.values())))).astype(np.int64)
    position = {key: i for i, key in enumerate(lengths)}
    errors = np.zeros((2, len(lengths)), dtype=np.float32)
    waiting = set(lengths)
    shape = (int(offset[-1]), int(description["width"]))
    embedding = file.create_dataset("embedding", shape=shape, dtype=str(description["dtype"]))
    file.create_dataset("offset", data=offset)
    file.create_dataset("key", data=np.array(list(lengths), dtype="S64"))
    for key, one in stored:
        i = position[key]
        embedding[offset[i] : offset[i + 1]] = one.values
        errors[:, i] = one.max_absolute_error, one.max_relative_error
        waiting.remove(key)
    if waiting:
        raise CopraError(f"no embedding came for {len(waiting)} sequences, first {min(waiting)}")
    for name, values in zip(ERRORS, errors, strict=True):
        file.create_dataset(name, data=values)
    for name in DESCRIPTION:
        file.attrs[name] = description[name]


def _seal(path: Path) -> None:
    """Write into the user block what the rest of the file must be."""
    n_bytes, sha256 = path.stat().st_size - USER_BLOCK_BYTES, _content_sha256(path)
    with path.open("r+b") as handle:
        handle.write(f"{MAGIC}\nbytes {n_bytes}\nsha256 {sha256}\n".encode().ljust(USER_BLOCK_BYTES, b"\0"))


def _content_sha256(path: Path) -> str:
    """The hexadecimal sha256 of all behind the user block."""
    with path.open("rb") as handle:
        handle.seek(USER_BLOCK_BYTES)
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _sealed(path: Path) -> str:
    """The sha256 that a file's user block states; raises InputError where it is no whole file."""
    try:
        with path.open("rb") as handle:
            seal = SEAL.match(handle.read(USER_BLOCK_BYTES))
    except OSError as error:
        raise InputError(f"{path}: not a readable file of embeddings: {error.strerror}") from error
    if seal is None:
        raise InputError(f"{path}: not a complete file of embeddings: it does not begin with '{MAGIC}'")
    stated, found = int(seal[1]), path.stat().st_size - USER_BLOCK_BYTES
    if stated != found:
        raise InputError(f"{path}: not a complete file of embeddings: {found} bytes of {stated}")
    sha256: bytes = seal[2]
    return sha256.decode()


def begins_as_embeddings(path: Path) -> bool:
    """Whether this is a file of embeddings, whole or not; an empty file may become one."""
    with path.open("rb") as handle:
        begins = handle.read(len(MAGIC)).decode(errors="replace")
    return begins in ("", MAGIC)


def describe_file(file: h5py.File) -> dict[str, str | int]:
    """What an open file says of itself, see DESCRIPTION."""
    return {name: int(file.attrs[name]) if name in WHOLE_NUMBERS else str(file.attrs[name]) for name in DESCRIPTION}


def lengths_of(file: h5py.File) -> dict[str, int]:
    """The number of residues of each sequence of an open file, by sha256, in the file's order."""
    keys = [raw.decode() for raw in file["key"][:]]
    return dict(zip(keys, np.diff(file["offset"][:]).tolist(), strict=True))


def find_problem(path: Path) -> str:
    """What is wrong with a file of embeddings, read to its last value; nothing where it is whole."""
    try:
        stated = _sealed(path)
        found = _content_sha256(path)
        if found != stated:
            return f"its content has sha256 {found}, it states {stated}"
        with open_embeddings(path) as file:
            for key, one in read_stored(file, lengths_of(file)):
                if not np.isfinite(one.values).all():
                    return f"a value of sequence {key} is not finite"
    except (CopraError, *UNREADABLE) as error:
        return str(error).strip() or type(error).__name__
    return ""


def read_stored(file: h5py.File, keys: Iterable[str]) -> Iterable[tuple[str, Stored]]:
    """The embeddings of these sequences of an open file, as stored."""
    position = {key: i for i, key in enumerate(lengths_of(file))}
    offset = file["offset"][:]
    absolute, relative = (file[name][:].tolist() for name in ERRORS)
    for key in keys:
        i = position[key]
        yield key, Stored(file["embedding"][offset[i] : offset[i + 1]], absolute[i], relative[i])


def read_embeddings(paths: list[Path], keys: list[str]) -> dict[str, np.ndarray]:
    """The embeddings [residues, width], float32, of the sequences with these sha256.

    Raises InputError where a file is incomplete or damaged, or a key is in none of them.
    """
    wanted = np.array(sorted(set(keys)), dtype="S64")
    found: dict[str, np.ndarray] = {}
    for path in sorted(paths):
        with open_embeddings(path) as file:
            try:
                here, offset = file["key"][:], file["offset"][:]
                for i in np.flatnonzero(np.isin(here, wanted)):
                    found[here[i].decode()] = file["embedding"][offset[i] : offset[i + 1]].astype(np.float32)
            except UNREADABLE as error:
                raise InputError(f"{path}: damaged file of embeddings: {error}") from error
    missing = sorted(set(keys) - set(found))
    if missing:
        files = ", ".join(str(path) for path in sorted(paths)) or "no file"
        raise InputError(f"embeddings: {len(missing)} sequences, first {missing[0]}, are not in {files}")
    return found


def read_description(paths: list[Path]) -> dict[str, str | int]:
    """The attributes that all files share: language model, molecule type, weights, layer, width.

    Raises InputError where two files were not made by the same model with the same weights.
    """
    shared: dict[str, str | int] = {}
    for path in sorted(paths):
        with open_embeddings(path) as file:
            said = describe_file(file)
        here = {name: said[name] for name in SHARED}
        if shared and here != shared:
            raise InputError(f"{path}: made by {here}, but {sorted(paths)[0]} by {shared}")
        shared = here
    if not shared:
        raise InputError("embeddings: no file given")
    return shared


def open_embeddings(path: Path) -> h5py.File:
    """Open a file of embeddings to read, beside any number of other readers; raises InputError where it is none.

    The bytes are counted, not summed: see `find_problem`.
    """
    _sealed(path)
    try:
        file = h5py.File(path, "r", locking=False)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a readable HDF5 file of embeddings: {error}") from error
    missing = [name for name in DESCRIPTION if name not in file.attrs]
    if missing:
        file.close()
        raise InputError(f"{path}: not a complete file of embeddings; lacks {missing}")
    return file
