"""Embeddings of the sequences of a FASTA file, without a pipeline."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections import Counter
from pathlib import Path

from copra.bounded import MAX_TEXT_BYTES, read_bounded
from copra.config import Embed, Esm2, LanguageModel, Rinalmo
from copra.config_file import parse_settings
from copra.embed.sizes import SIZES
from copra.embed.store import begins_as_embeddings
from copra.errors import InputError
from copra.fetch.receipts import receipt_path
from copra.files import replacing, sha256_of_text

log = logging.getLogger(__name__)

# letters of a sequence; both models have a token for unknown ones
LETTERS = {"esm2": "ABCDEFGHIJKLMNOPQRSTUVWXYZ-", "rinalmo": "ACGUTNIRYKMSWBDHVX-"}
MOLECULE = {"esm2": "protein", "rinalmo": "RNA"}


def embed(
    fasta: Path,
    *,
    family: str,
    size: str,
    weights: str,
    out: Path,
    dtype: str = "float16",
    autocast: str = "none",
    max_tokens_per_batch: int = 8192,
) -> None:
    """Embed the sequences of a FASTA file with a released language model into an HDF5 file.

    family   esm2 for proteins, rinalmo for RNA
    size     8M, 35M, 150M, 650M, 3B, 15B (esm2); micro, mega, giga (rinalmo)
    weights  the released checkpoint file, or random:<seed> for the same architecture that has learned nothing;
             where <weights>.receipt.json stands beside a file, the file must have the sha256 stated there
    out      the HDF5 file, keyed by sha256 of the sequence (upper case, T of RNA read as U); the table beside it,
             <out>.tsv, tells the key of each name. What `out` holds already is not computed again.
    dtype    float16 or float32, of the values in the file
    autocast none, bf16, fp16 or auto, of the matrix products on a GPU

    Raises InputError naming file, line and what was expected.
    """
    from copra.embed.shard import embed_texts, sha256_when_it_came

    _check_out(out)
    model, path = chosen_model(family, size, weights)
    chosen = {"shards": 1, "max_tokens_per_batch": max_tokens_per_batch, "dtype": dtype, "autocast": autocast}
    settings: Embed = parse_settings(Embed, json.dumps(chosen))
    records = read_fasta(fasta, family)
    _warn_of_another_molecule(fasta, family, records)
    keys = {name: sha256_of_text(sequence) for name, sequence in records.items()}
    texts = {keys[name]: sequence for name, sequence in records.items()}
    receipt = receipt_path(path) if path is not None and path.is_file() else None
    embed_texts(
        texts,
        name=f"{family}_{size}",
        model=model,
        weights=path,
        sha256=sha256_when_it_came(receipt) if receipt is not None and receipt.is_file() else None,
        settings=settings,
        out=out,
        place=None,
    )
    lines = ["name\tsequence_sha256\tn_residues"]
    lines += [f"{name}\t{keys[name]}\t{len(sequence)}" for name, sequence in records.items()]
    with replacing(out.with_name(f"{out.name}.tsv")) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    log.info("%s: %d names, %d distinct sequences", out, len(records), len(texts))


def _check_out(out: Path) -> None:
    """Raises InputError where `out` is something that this verb did not write."""
    if out.is_dir():
        raise InputError(f"--out {out}: this is a folder; expected the name of the HDF5 file to write")
    if out.exists() and not begins_as_embeddings(out):
        raise InputError(f"--out {out}: this file is here already and holds no embeddings; name another or remove it")


def _warn_of_another_molecule(path: Path, family: str, records: dict[str, str]) -> None:
    letters = Counter("".join(records.values()))
    share = sum(letters[letter] for letter in "ACGUTN") / letters.total()
    if (family == "esm2") == (share > (0.99 if family == "esm2" else 0.5)):
        log.warning(
            "%s: %.0f %% of the letters are A, C, G, U, T or N; read as %s", path, 100 * share, MOLECULE[family]
        )


def chosen_model(family: str, size: str, weights: str) -> tuple[LanguageModel, Path | None]:
    """The architecture of a released model and its checkpoint, None for random weights.

    Raises InputError for a family or a size that there is not.
    """
    if family not in SIZES:
        raise InputError(f"--family '{family}': expected one of {', '.join(SIZES)}")
    if size not in SIZES[family]:
        raise InputError(f"--size '{size}': the sizes of {family} are {', '.join(SIZES[family])}")
    layers, width, heads = SIZES[family][size]
    path = None if weights.startswith("random:") else Path(weights)
    if family == "esm2":
        return Esm2(family="esm2", layers=layers, width=width, heads=heads, weights=weights), path
    return Rinalmo(family="rinalmo", layers=layers, width=width, heads=heads, weights=weights), path


def read_fasta(path: Path, family: str) -> dict[str, str]:
    """The sequences of a FASTA file by name, the first word behind `>`, in upper case, T of RNA as U.

    The file may be packed with gzip. Raises InputError, with the line's number, for text before the first name, a
    name that is empty, there twice or cannot be printed, a sequence without letters, a letter that the molecule does
    not have, and for a file without sequences or larger than MAX_TEXT_BYTES.
    """
    try:
        lines = read_bounded(path, MAX_TEXT_BYTES).decode().splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable FASTA file: {error}") from error
    records: dict[str, list[str]] = {}
    begins: dict[str, int] = {}
    name = ""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(">"):
            name = (text[1:].split() or [""])[0]
            _check_name(name, begins, f"{path}, line {number}")
            records[name], begins[name] = [], number
        elif text and not name:
            raise InputError(f"{path}, line {number}: expected '>' and a name, found {text[:40]!r}")
        elif text:
            records[name].append(_letters(text, family, f"{path}, line {number}: {name}"))
    empty = [key for key, parts in records.items() if not parts]
    if empty:
        raise InputError(f"{path}, line {begins[empty[0]]}: {empty[0]}: a name without a sequence")
    if not records:
        raise InputError(f"{path}: no sequence in this file; expected FASTA")
    return {key: "".join(parts) for key, parts in records.items()}


def _check_name(name: str, begins: dict[str, int], where: str) -> None:
    if not name:
        raise InputError(f"{where}: expected a name behind '>'")
    if not name.isprintable():
        raise InputError(f"{where}: expected a name of letters that can be printed, found {name!r}")
    if name in begins:
        raise InputError(f"{where}: the name {name} stands already in line {begins[name]}")


def _letters(text: str, family: str, where: str) -> str:
    letters = re.sub(r"\s", "", text).upper()
    wrong = next((i for i, letter in enumerate(letters) if letter not in LETTERS[family]), None)
    if wrong is not None:
        raise InputError(f"{where}: letter {wrong + 1} is {letters[wrong]!r}, which is none of {MOLECULE[family]}")
    return letters.replace("T", "U") if family == "rinalmo" else letters
