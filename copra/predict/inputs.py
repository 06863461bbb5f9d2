"""A person's coordinate file, of any name and origin -> `Structure`, or one line that says what is wrong with it.

The reader of the build wants a name that tells the format, author ids and one chain for each molecule. Here the
content tells the format, and what docking and prediction programs leave out is filled in on a copy of the file.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from copra.bounded import GZIP_MAGIC, MAX_TEXT_BYTES, read_bounded, too_large
from copra.errors import InputError
from copra.files import sha256_of_file
from copra.predict.confidence import PLDDT, mentions_prediction, residue_plddt
from copra.predict.rewriting import one_model, with_all_columns, with_own_chains
from copra.structure.quarantine import Unreadable, printable
from copra.structure.reader import read_structure
from copra.structure.residues import PROTEIN, RNA, Structure, residue

HEAD_BYTES = 2**16
NAME_LENGTH = 40
SHOWN_LETTERS = 40
ENDINGS = re.compile(r"\.(gz|cif|mmcif|mcif|pdbx?|ent|pqr|txt)$", re.IGNORECASE)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What people hand in by mistake: how it begins, what it is
OTHER_FORMATS = (
    (b"PK\x03\x04", "a zip archive"), (b"BZh", "bzip2 data"), (b"\xfd7zXZ", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstandard data"), (b"%PDF", "a PDF document"), (b"<", "XML or HTML"), (b"{", "JSON"),
    (b">", "FASTA sequences"), (b"@<TRIPOS>", "a mol2 file"),
)  # fmt: skip
PDB_LINE = re.compile(
    rb"^(HEADER|TITLE|COMPND|SOURCE|KEYWDS|EXPDTA|AUTHOR|REVDAT|REMARK|SEQRES|CRYST1|MODEL|ATOM|HETATM|PFRMAT|PARENT)"
    rb"(?= |\d|\r?$)",
    re.MULTILINE,
)
CIF_BLOCK = re.compile(rb"\s*(?:#[^\n]*\n\s*)*data_", re.IGNORECASE)
WANTED = "expected an mmCIF or PDB file, gzipped or not"


def open_structure(path: Path, model: int | None = None) -> tuple[Structure, str, list[str]]:
    """Read a file of one or more models: the structure, the sha256 of the file's bytes, and warnings.

    Of several models `model` is taken, counted from 1 in the order of the file; which one is the user's to say, as
    each would have its own dG. The structure bears the name of the file made safe. Where the file is recognised as a
    predicted one whose B-factors are confidences, `arrays` holds one more array, `confidence.PLDDT` [R], 0 to 100.

    Raises InputError, one line with the file's name, where it is not there, no coordinate file, damaged, lacks the
    model, has several and none is named, or holds no protein or no RNA.
    """
    head, zipped = _head(path)
    ending = _format(path, head, zipped) + (".gz" if zipped else "")
    name = structure_name(path)
    with tempfile.TemporaryDirectory(prefix="copra-") as folder:
        given = Path(folder) / f"given{ending}"
        given.symlink_to(path.resolve())
        copy = _without_mark(path, given) if head.startswith(BYTE_ORDER_MARK) else given
        structure, copy, warnings = _read_mended(path, copy, name)
        n_models, sha256 = structure.n_models, structure.file_sha256 if copy == given else sha256_of_file(given)
        if model is None and n_models > 1:
            which = f"--coordinates-model 1 to {n_models} to say which"
            raise InputError(f"{path}: found {n_models} models, expected one, or {which}")
        if model is not None and not 1 <= model <= n_models:
            raise InputError(f"{path}: expected a model from 1 to {n_models}, found --coordinates-model {model}")
        if model is not None and model > 1:
            copy = _rewritten(copy, lambda text, is_cif: one_model(text, is_cif, model))
            structure, copy, warnings = _read_mended(path, copy, name)
        structure = replace(structure, file_sha256=sha256, n_models=n_models)
        _check_molecules(path, structure)
        warnings += _confidence(copy, structure)
    if n_models > 1:
        warnings.insert(0, f"the file holds {n_models} models; model {model} was taken")
    return structure, sha256, warnings


def structure_name(path: Path) -> str:
    """The file's name without its endings, of letters that can stand in ids and in names of files."""
    name = path.name
    while ENDINGS.search(name):
        name = ENDINGS.sub("", name)
    name = re.sub(r"[^A-Za-z0-9_.+-]+", "_", name).strip("._")[:NAME_LENGTH]
    return name or "structure"


def _head(path: Path) -> tuple[bytes, bool]:
    """How the content begins, and whether the file is gzip data."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: {WANTED}, found a folder")
        if not path.is_file():
            raise InputError(f"{path}: {WANTED}, found nothing there")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{path}: {WANTED}; it cannot be read: {error}") from error
    zipped = head.startswith(GZIP_MAGIC)
    if zipped:
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error as error:
            raise InputError(f"{path}: expected whole gzip data, found damaged ones: {error}") from error
    return head, zipped


def _format(path: Path, head: bytes, zipped: bool) -> str:
    """The ending that tells the reader what the content is: .cif or .pdb."""
    inside = " inside the gzip data" if zipped else ""
    text = head.removeprefix(BYTE_ORDER_MARK)
    if not text.strip():
        raise InputError(f"{path}: {WANTED}, found {'nothing' + inside if zipped else 'an empty file'}")
    if CIF_BLOCK.match(text):
        return ".cif"
    for start, what in OTHER_FORMATS:
        if text.lstrip().startswith(start):
            raise InputError(f"{path}: {WANTED}, found {what}{inside}")
    if b"\0" in text:
        what = "BinaryCIF" if b"dataBlocks" in text else "binary data"
        raise InputError(f"{path}: {WANTED}, found {what}{inside}")
    if PDB_LINE.search(text):
        return ".pdb"
    shown = printable(text.lstrip()[:SHOWN_LETTERS].decode("utf-8", errors="replace"), SHOWN_LETTERS).strip()
    raise InputError(f"{path}: {WANTED}, found a text that begins with '{shown}'{inside}")


def _read_mended(path: Path, given: Path, name: str) -> tuple[Structure, Path, list[str]]:
    """Read the copy `given`; where that fails for something that can be filled in, read a mended copy of it."""
    try:
        structure = _read(path, given, name)
    except Unreadable as error:
        is_pdb = ".pdb" in given.name
        if error.reason == "missing_columns":
            mended = _rewritten(given, with_all_columns)
        elif error.reason == "bad_identifiers" and is_pdb:
            mended = _rewritten(given, with_own_chains)
        else:
            raise
        if mended == given:
            raise
        structure = _read(path, mended, name)
        if is_pdb:
            told = f"atoms without a usable chain id were given the chains {_listed(structure)}"
        else:
            told = "columns missing in _atom_site were filled in from others"
        return structure, mended, [told]
    mixed = [structure.chain_ids[i] for i in range(len(structure.chain_ids)) if _is_mixed(structure, i)]
    if mixed and ".pdb" in given.name:
        mended = _rewritten(given, with_own_chains)
        structure = _read(path, mended, name)
        told = f"chain {', '.join(mixed)} holds protein and nucleic acid and was parted: {_listed(structure)}"
        return structure, mended, [told]
    return structure, given, []


def _read(path: Path, copy: Path, name: str) -> Structure:
    """`read_structure` with the person's path in the error."""
    try:
        return read_structure(copy, name)
    except Unreadable as error:
        detail = str(error).replace(f"{copy}: ", "", 1)
        raise Unreadable(path, error.reason, detail) from error


def _is_mixed(structure: Structure, chain: int) -> bool:
    """Whether standard amino acids and standard nucleotides stand in one chain."""
    if structure.sequence_origins[chain] == "seqres":
        return False
    names = set(structure.arrays["residue_name"][structure.chain_residues(chain)].tolist())
    kinds = {known.kind for known in (residue(name.decode()) for name in names) if known.standard}
    return "protein" in kinds and len(kinds) > 1


def _without_mark(path: Path, given: Path) -> Path:
    """A copy of the file `given` without its byte order mark; the reader has not looked at it yet."""
    try:
        return _rewritten(given, lambda text, _: text)
    except InputError:
        raise InputError(too_large(path, MAX_TEXT_BYTES)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: expected whole gzip data, found damaged ones: {error}") from error


def _rewritten(copy: Path, change: Callable[[bytes, bool], bytes]) -> Path:
    """A changed copy beside the copy, or the copy where nothing changed."""
    text = read_bounded(copy, MAX_TEXT_BYTES)
    is_cif = ".cif" in copy.name
    changed = change(text.removeprefix(BYTE_ORDER_MARK), is_cif)
    if changed == text:
        return copy
    out = copy.with_name(f"{copy.name.partition('.')[0]}-mended.{'cif' if is_cif else 'pdb'}")
    out.write_bytes(changed)
    return out


def _listed(structure: Structure) -> str:
    """`A (protein), B (rna)`, at most ten of them."""
    parts = [f"{c} ({t})" for c, t in zip(structure.chain_ids, structure.molecule_types, strict=True)]
    return ", ".join(parts[:10]) + (f" and {len(parts) - 10} more" if len(parts) > 10 else "")


def _check_molecules(path: Path, structure: Structure) -> None:
    has_protein, has_rna = structure.chain_is(PROTEIN).any(), structure.chain_is(RNA).any()
    if has_protein and has_rna:
        return
    wanted = "expected protein and RNA chains, found"
    no_rna = "DNA only, no RNA" if "dna" in structure.molecule_types else "no RNA"
    what = "no protein" if has_rna else no_rna if has_protein else f"no protein and {no_rna}"
    raise InputError(f"{path}: {wanted} {what}; its chains are {_listed(structure)}")


def _confidence(copy: Path, structure: Structure) -> list[str]:
    """Add the confidences of a predicted structure to its arrays; what a reader is to know of it."""
    if structure.resolution_angstrom is not None or (structure.method and "MODEL" not in structure.method.upper()):
        return []
    text = read_bounded(copy, MAX_TEXT_BYTES)
    plddt = residue_plddt(text, ".cif" in copy.name, structure)
    program = mentions_prediction(text)
    if plddt is not None:
        structure.arrays[PLDDT] = plddt
    if plddt is None and not program:
        return []
    by = f" (the file names {program})" if program else " (its B-factors are confidences)"
    return [f"this is a predicted structure{by}; the model was trained on measured ones"]
