"""Running a language model over sequences into a file, so that what was computed once is not computed again.

Each finished batch is a small file of the store's own layout, a part, in a folder that the workflow does not know
(it removes a rule's output before it runs the rule). Parts are written under a temporary name and renamed, and never
changed. A run takes from them what is whole and was made by the same model, weights, code and versions on the same
kind of device in the same precision, computes the rest, and writes the shard's file from all. Then the shard's file
itself is linked into the folder as its only part; where the file systems differ, the parts that it was made of stay.

Batches follow from the sequences that are missing, shortest first: a run that was killed goes on with the very
batches that it had not finished, so its file has the same bytes as that of a run that was not. After new sequences
joined a shard, their values may differ in the last bits from those of a run from nothing, whose batches are others.

A batch, and so a part, holds whole sequences. One that goes through the model as windows counts with all of them; it
shares a batch with others where they fit together, and is a part of its own where it has more windows than fit.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from copra import __version__
from copra.config import Embed, LanguageModel
from copra.embed.store import (
    RESIDUE_NUMBERING,
    Description,
    Stored,
    describe_file,
    find_problem,
    lengths_of,
    open_embeddings,
    read_stored,
    rounded,
    write_embeddings,
)
from copra.embed.windows import shape, token_batches
from copra.errors import InputError
from copra.fetch.receipts import read_receipt
from copra.files import replacing, sha256_of_text
from copra.progress import progress
from copra.provenance.fingerprint import fingerprint_of
from copra.tables import read_table

if TYPE_CHECKING:  # torch is loaded only where a model runs
    from copra.embed.language_models import LanguageModel as LoadedModel

log = logging.getLogger(__name__)

WHOLE = "whole.h5"  # the part that holds the whole shard
PACKAGES = ("torch", "fair-esm", "numpy", "h5py")


def embed_sequences(
    sequences: Path,
    *,
    shard: int,
    name: str,
    model: LanguageModel,
    settings: Embed,
    out: Path,
    weights: Path | None = None,
    receipt: Path | None = None,
    parts: Path | None = None,
) -> None:
    """Run the language model `name` once over the sequences of one shard that are of its molecule type.

    ESM-2 takes the protein sequences, RiNALMo the RNA sequences. Only what neither `parts`, a folder of finished
    batches of all models and shards, nor a file at `out` holds is computed; the file is written whole or not at
    all. A shard without sequences gives a valid file without rows. `weights` is the checkpoint file, absent for
    random weights; `receipt`, what was noted when that file came: the file must still have its sha256. Raises
    InputError on a wrong checkpoint or a sequence that does not match its sha256.
    """
    from copra.embed.language_models import MOLECULE_TYPE

    table = read_table(sequences, "sequences")
    chosen = table[(table["shard"] == shard) & (table["molecule_type"] == MOLECULE_TYPE[model.family])]
    texts = dict(zip(chosen["sequence_sha256"], chosen["sequence"], strict=True))
    for key, text in texts.items():
        if sha256_of_text(text) != key or not text:
            raise InputError(f"{sequences}: the sequence with sha256 {key} is empty or not what its sha256 says")
    place = None if parts is None else (parts, f"{shard}_of_{settings.shards}")
    if receipt is not None and weights is None:
        raise InputError(f"{receipt}: a receipt is given, but no checkpoint file")
    sha256 = None if receipt is None else sha256_when_it_came(receipt)
    embed_texts(texts, name=name, model=model, weights=weights, sha256=sha256, settings=settings, out=out, place=place)


def sha256_when_it_came(receipt: Path) -> str:
    """The sum that a checkpoint's receipt states; raises InputError where there is no receipt or no file came."""
    told = read_receipt(receipt)
    if told is None:
        raise InputError(f"{receipt}: expected the receipt of a checkpoint, found none that can be read")
    if told.status != "fetched":
        reason = told.detail or "no reason given"
        raise InputError(f"{receipt}: the checkpoint '{told.source}' could not be had ({told.status}): {reason}")
    return told.sha256


def embed_texts(
    texts: dict[str, str], *, name: str, model: LanguageModel, weights: Path | None, sha256: str | None,
    settings: Embed, out: Path, place: tuple[Path, str] | None,
) -> None:  # fmt: skip
    """Write the embeddings of sequences (sha256 -> letters) to `out`; as `embed_sequences`.

    `sha256` is the sum that the checkpoint must have, where it is known.
    `place` is the folder of all parts and the name of this shard; without it, the parts lie beside `out` until it
    is written.
    """
    texts = dict(sorted(texts.items()))
    description = describe(name, model, weights, settings, sha256)
    if place is None:
        folder = out.with_name(f".{out.name}.parts")
    else:
        model_folder = place[0] / name / f"{description['weights']}_{settings.dtype}".replace(":", "_")
        folder = model_folder / place[1]
    known = find_known(folder, out, description, texts)
    missing = {key: text for key, text in texts.items() if key not in known}
    log.info("%s: %d sequences, %d of them here, %d to compute", name, len(texts), len(known), len(missing))
    if missing:
        from copra.embed.language_models import load_language_model

        language_model = load_language_model(model, weights, autocast=settings.autocast, sha256=sha256)
        known |= compute_parts(missing, folder, description, language_model, settings)
    lengths = {key: len(text) for key, text in texts.items()}
    write_embeddings(out, lengths, description, measured(_stored(known), settings.dtype, len(texts)))
    if place is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif texts:
        keep_whole(out, folder, set(known.values()))


def describe(
    name: str, model: LanguageModel, weights: Path | None, settings: Embed, sha256: str | None = None
) -> dict[str, str | int]:
    """What the files of this model say of themselves when they are made now, on this machine.

    Raises InputError where the checkpoint is not there or, if `sha256` is given, has another sum.
    """
    from copra.embed.language_models import MOLECULE_TYPE, precision, this_device, weights_description

    return {
        "language_model": name,
        "molecule_type": MOLECULE_TYPE[model.family],
        "weights": weights_description(model, weights, sha256),
        "layer": model.layers,
        "width": model.width,
        "heads": model.heads,
        "dtype": settings.dtype,
        "residue_numbering": RESIDUE_NUMBERING,
        "device": this_device().type,
        "precision": precision(settings.autocast),
        # an edit of the model's code makes other values: its parts are not those of before
        "code": fingerprint_of("copra.embed.language_models", "*"),
        "versions": json.dumps({"copra": __version__, **{p: version(p) for p in PACKAGES}}, sort_keys=True),
    }


def find_known(folder: Path, out: Path, description: Description, texts: dict[str, str]) -> dict[str, Path]:
    """The files in which sequences are already embedded: parts in `folder`, or `out` itself.

    A damaged part is removed.
    """
    known: dict[str, Path] = {}
    for path in [*sorted(folder.glob("*.h5")), *([out] if out.is_file() else [])]:
        problem = find_problem(path)
        if problem:
            log.warning("%s: damaged, computed again: %s", path, problem)
            if path != out:
                path.unlink()
            continue
        with open_embeddings(path) as file:
            said, lengths = describe_file(file), lengths_of(file)
        other = sorted(name for name, value in description.items() if said[name] != value)
        if other:
            log.info("%s: not used, made with another %s", path, ", ".join(other))
            continue
        for key, n_residues in lengths.items():
            if key in texts and len(texts[key]) == n_residues:
                known.setdefault(key, path)
    return known


def compute_parts(
    texts: dict[str, str], folder: Path, description: Description, model: LoadedModel, settings: Embed
) -> dict[str, Path]:
    """Embed sequences batch by batch, each batch into a part of `folder`; returns the part of each sequence."""
    limit = settings.max_tokens_per_batch
    shapes = {key: shape(len(text), model.max_residues, model.window_overlap) for key, text in texts.items()}
    batches = token_batches(shapes, limit)
    parts: dict[str, Path] = {}
    for batch in progress(batches, str(description["language_model"]), len(batches)):
        arrays = model.embed([texts[key] for key in batch], limit)
        stored = [(key, rounded(a, settings.dtype, key)) for key, a in zip(batch, arrays, strict=True)]
        path = folder / f"{sha256_of_text(','.join(batch))[:16]}.h5"
        write_embeddings(path, {key: len(texts[key]) for key in sorted(batch)}, description, stored)
        parts |= dict.fromkeys(batch, path)
    return parts


def _stored(known: dict[str, Path]) -> Iterator[tuple[str, Stored]]:
    for path in sorted(set(known.values())):
        with open_embeddings(path) as file:
            yield from read_stored(file, sorted(key for key, at in known.items() if at == path))


def measured(stored: Iterator[tuple[str, Stored]], dtype: str, n_sequences: int) -> Iterator[tuple[str, Stored]]:
    """Pass embeddings on; when all have passed, say in the log what the rounding to `dtype` cost."""
    absolute = relative = 0.0
    for key, one in stored:
        absolute, relative = max(absolute, one.max_absolute_error), max(relative, one.max_relative_error)
        yield key, one
    text = "%s of %d sequences: an element is off by at most %.3g, a residue's vector by at most %.3g of its length"
    log.info(text, dtype, n_sequences, absolute, relative)


def keep_whole(out: Path, folder: Path, used: set[Path]) -> None:
    """Link the finished file into the folder of its parts and remove all others there.

    Where it cannot be linked, the parts it was made of stay and only the others go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(folder / WHOLE) as temporary:
            os.link(out, temporary)
        used = {folder / WHOLE}
    except OSError as error:
        log.info("%s: the %d parts stay: %s", folder, len(used), error.strerror)
    for path in folder.iterdir():
        if path not in used:
            path.unlink()
