"""A coordinate file as it lies (mmCIF or PDB format, gzipped or not) -> what gemmi makes of it.

Whatever the bytes are, the answer is a parsed file or `Unreadable` with a reason.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from isal import igzip, isal_zlib
from numpy.lib.stride_tricks import sliding_window_view

from copra.bounded import GZIP_MAGIC, MAX_TEXT_BYTES
from copra.structure.quarantine import (
    Unreadable,
    check_columns,
    check_piece_count,
    check_pieces,
)

FORMATS = (".cif.gz", ".pdb.gz", ".cif", ".pdb")
PDB_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CHUNK_BYTES = 2**22
# PDB format is ASCII with fixed columns: one byte stays one column
ONLY_ASCII = bytes(range(128)) + b"?" * 128
ATOM, HETATM = (int.from_bytes(letters, "little") for letters in (b"ATOM", b"HETA"))  # gemmi looks at four letters
# A coordinate as F8.3 writes it, with 0 for any digit and - for any sign: each shape as one number of eight bytes
SHAPE_OF_NUMBER = bytes.maketrans(b"123456789+", b"000000000-")
SHAPES = ("    .", "   -.", "   0.", "  -0.", "  00.", " -00.", " 000.", "-000.", "0000.")
NUMBERS = np.frombuffer("".join(f"{shape}000" for shape in SHAPES).encode(), dtype="<u8")
# The categories of mmCIF that are used. Others are taken away: damage in them harms nothing.
CATEGORIES = frozenset({
    "_atom_site.", "_entity.", "_entity_poly.", "_entity_poly_seq.", "_struct_asym.", "_chem_comp.", "_exptl.",
    "_refine.", "_em_3d_reconstruction.", "_reflns.", "_pdbx_struct_mod_residue.",
})  # fmt: skip
# what gemmi throws at text that it cannot parse; UnicodeDecodeError is a ValueError
PARSE_ERRORS = (ValueError, RuntimeError, IndexError)


@dataclass
class Opened:
    """A parsed file before its atoms are looked at."""

    structure: gemmi.Structure
    release_date: str
    canonical: dict[str, str]  # entity name -> one-letter sequence of parents, as the file gives it
    file_sha256: str


def open_file(path: Path) -> Opened:
    """Parse one file; raises Unreadable for anything that is no coordinate file of a bearable size."""
    name = path.name.lower()
    if not name.endswith(FORMATS):
        raise Unreadable(path, "not_a_coordinate_file", f"expected a name ending in one of {', '.join(FORMATS)}")
    data = _read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if name.endswith(".gz"):
        data = _unzip(path, data)
    return _open_cif(path, data, sha256) if ".cif" in name else _open_pdb(path, data, sha256)


def _read_bytes(path: Path) -> bytes:
    """The content of a file; not that of a device or pipe, which may never end."""
    try:
        if not path.is_file():
            raise Unreadable(path, "not_a_file", "expected a file, found none")
        n_bytes = path.stat().st_size
        if n_bytes > MAX_TEXT_BYTES:
            raise Unreadable(path, "too_large", f"expected at most {MAX_TEXT_BYTES} bytes, found {n_bytes}")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise Unreadable(path, "not_a_file", f"cannot be read: {error}") from error


def _unzip(path: Path, data: bytes) -> bytes:
    """Decompress piece by piece, so that a small file cannot become more text than the memory holds."""
    if not data.startswith(GZIP_MAGIC):
        raise Unreadable(path, "not_gzip", f"expected gzip data, found the bytes '{data[:8].hex(' ')}'")
    text = bytearray()
    try:
        with igzip.open(io.BytesIO(data)) as file:
            while chunk := file.read(CHUNK_BYTES):
                text += chunk
                if len(text) > MAX_TEXT_BYTES:
                    raise Unreadable(path, "too_large", f"expected at most {MAX_TEXT_BYTES} bytes of text, found more")
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]  # its stub names an instance
        raise Unreadable(path, "damaged_gzip", f"expected whole gzip data: {error}") from error
    return bytes(text)


def _open_cif(path: Path, data: bytes, sha256: str) -> Opened:
    try:
        document = gemmi.cif.read_string(data.decode("utf-8", errors="replace"))
    except PARSE_ERRORS as error:
        raise Unreadable(path, "not_a_coordinate_file", f"expected mmCIF: {error}") from error
    block = next((b for b in document if len(_category(path, b, "_atom_site."))), None)
    if block is None:
        raise Unreadable(path, "no_atoms", f"expected _atom_site in one of {len(document)} data blocks")
    check_columns(path, block)
    check_pieces(path, block)
    canonical = {}
    for entity, letters in block.find("_entity_poly.", ["entity_id", "pdbx_seq_one_letter_code_can"]):
        canonical[gemmi.cif.as_string(entity)] = re.sub(r"\s", "", gemmi.cif.as_string(letters))
    dates = [gemmi.cif.as_string(d) for d in block.find_values("_pdbx_audit_revision_history.revision_date")]
    release_date = min((d for d in dates if re.fullmatch(r"\d{4}-\d\d-\d\d", d, re.ASCII)), default="")
    for category in block.get_mmcif_category_names():
        if category not in CATEGORIES:
            _category(path, block, category).erase()
    try:
        structure = gemmi.make_structure_from_block(block)
    except PARSE_ERRORS as error:
        raise Unreadable(path, "not_a_coordinate_file", f"expected the values of an mmCIF model: {error}") from error
    return Opened(structure, release_date, canonical, sha256)


def _category(path: Path, block: gemmi.cif.Block, name: str) -> gemmi.cif.Table:
    try:
        return block.find_mmcif_category(name)
    except RuntimeError as error:  # a loop with tags of another category
        raise Unreadable(path, "not_a_coordinate_file", f"expected mmCIF: {error}") from error


def _open_pdb(path: Path, data: bytes, sha256: str) -> Opened:
    data = data.translate(ONLY_ASCII)
    try:
        structure = gemmi.read_pdb_string(data)
    except PARSE_ERRORS as error:
        raise Unreadable(path, "not_a_coordinate_file", f"expected PDB format: {error}") from error
    _check_pdb_lines(path, data)
    return Opened(structure, _pdb_release_date(data), {}, sha256)


def _check_pdb_lines(path: Path, data: bytes) -> None:
    """Raise Unreadable where chains lie in too many pieces or a coordinate is not a number as the format has it.

    gemmi takes a field that it cannot read for 0, or for the number with which it begins.
    """
    end = data.find(b"\nEND")  # of the file or of the first model
    letters = np.frombuffer(data, dtype=np.uint8, count=end if end >= 0 else len(data))
    starts = np.concatenate([[0], np.flatnonzero(letters == ord("\n")) + 1])
    starts = starts[starts + 54 <= len(letters)]
    if not len(starts):
        return
    record = sliding_window_view(letters, 4)[starts].view("<u4").ravel() & 0xDFDFDFDF  # in capitals
    starts = starts[(record == ATOM) | (record == HETATM)]
    chain = letters[starts + 20] * np.uint16(256) + letters[starts + 21]
    check_piece_count(path, 1 + int(np.count_nonzero(chain[1:] != chain[:-1])))
    fields = sliding_window_view(letters, 24)[starts + 30].tobytes().translate(SHAPE_OF_NUMBER)
    is_number = np.isin(np.frombuffer(fields, dtype="<u8"), NUMBERS).reshape(-1, 3)
    good = is_number[:, 0] & is_number[:, 1] & is_number[:, 2]
    if not good.all():
        first = int(starts[~good][0])
        line = data[first : first + 54].decode()
        found = f"{np.count_nonzero(~good)} of {len(good)} atoms have others, first '{line}'"
        raise Unreadable(path, "bad_coordinates", f"expected three numbers in columns 31 to 54, {found}")


def _pdb_release_date(data: bytes) -> str:
    """The date of REVDAT 1, the release, as yyyy-mm-dd; "" where the file does not tell."""
    header = data[: data.find(b"\nATOM")].decode()
    found = re.search(r"^REVDAT   1   (\d\d)-([A-Z]{3})-(\d\d) ", header, flags=re.MULTILINE)
    if not found or found[2] not in PDB_MONTHS:
        return ""
    year = int(found[3])
    return f"{1900 + year if year > 70 else 2000 + year}-{PDB_MONTHS.index(found[2]) + 1:02d}-{found[1]}"
