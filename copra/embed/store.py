"""Embeddings of sequences, computed once, kept in HDF5 by the sequence's sha256.

Layout of one shard's file (uncompressed and contiguous: compression would save a tenth and cost a multiple in time):

    embedding  float16 | float32  [residues of all sequences, width]
    offset     int64              [sequences + 1]; sequence i owns the rows offset[i] : offset[i + 1]
    key        S64                [sequences], sorted
    attributes language_model, molecule_type, weights, layer, width, versions, sequences_sha256, complete = 1
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from copra import __version__
from copra.config import Embed, LanguageModel
from copra.errors import CopraError, InputError
from copra.files import replacing, sha256_of_text
from copra.tables import RNA_CHAIN_TYPES, read_table, write_table

log = logging.getLogger(__name__)

SPECIAL_TOKENS = 2  # <cls> and <eos> of each sequence
ATTRIBUTES = ("language_model", "molecule_type", "weights", "layer", "width", "versions", "complete")


def list_sequences(chains: Path, *, records: Path, pri30k: Path, shards: int, out: Path) -> None:
    """List the distinct sequences of the records and of the pre-training pairs, dealt into `shards`.

    A sequence's shard follows from its sha256 alone, so a new sequence touches one shard only. Raises
    InputError where a record or a pair names a sequence that no chain has.
    """
    wanted: dict[tuple[str, str], str] = {}  # (molecule type, sha256) -> who asks for it
    for path, table, name in ((records, "records", "record_id"), (pri30k, "pri30k", "pair_id")):
        for row in read_table(path, table).to_dict("records"):
            for molecule_type in ("protein", "rna"):
                for key in str(row[f"{molecule_type}_sha256"]).split(","):
                    wanted.setdefault((molecule_type, key), f"{path}: {row[name]}")
    known = _chain_sequences(chains)
    missing = [f"{who}: {kind} sequence {key}" for (kind, key), who in wanted.items() if (kind, key) not in known]
    if missing:
        shown = "\n  ".join(sorted(missing)[:10])
        raise InputError(f"{chains}: {len(missing)} sequences are of no chain in this table:\n  {shown}")
    rows = [
        (key, kind, known[kind, key], len(known[kind, key]), int(key[:8], 16) % shards) for kind, key in sorted(wanted)
    ]
    columns = ["sequence_sha256", "molecule_type", "sequence", "n_residues", "shard"]
    types = {"n_residues": "int64", "shard": "int64"}
    write_table(pd.DataFrame(rows, columns=columns).astype(types), out, "sequences")


def _chain_sequences(path: Path) -> dict[tuple[str, str], str]:
    chains = read_table(path, "chains")
    known: dict[tuple[str, str], str] = {}
    for kind, key, sequence in zip(chains["molecule_type"], chains["sequence_sha256"], chains["sequence"], strict=True):
        known["rna" if kind in RNA_CHAIN_TYPES else kind, key] = sequence
    return known


def embed_sequences(
    sequences: Path,
    *,
    shard: int,
    name: str,
    model: LanguageModel,
    settings: Embed,
    out: Path,
    weights: Path | None = None,
) -> None:
    """Run the language model `name` once over the sequences of one shard that are of its molecule type.

    ESM-2 takes the protein sequences, RiNALMo the RNA sequences. Sequences are embedded in order of length, as
    many at a time as fit `max_tokens_per_batch`; the file is written whole or not at all. A shard without
    sequences gives a valid file without rows. `weights` is the checkpoint file, absent for random weights.
    Raises InputError on a wrong checkpoint or a sequence that does not match its sha256.
    """
    from copra.embed.language_models import MOLECULE_TYPE, load_language_model, weights_description

    table = read_table(sequences, "sequences")
    molecule_type = MOLECULE_TYPE[model.family]
    chosen = table[(table["shard"] == shard) & (table["molecule_type"] == molecule_type)]
    texts = dict(sorted(zip(chosen["sequence_sha256"], chosen["sequence"], strict=True)))
    for key, text in texts.items():
        if sha256_of_text(text) != key or not text:
            raise InputError(f"{sequences}: the sequence with sha256 {key} is empty or not what its sha256 says")
    attributes: dict[str, str | int] = {"language_model": name, "molecule_type": molecule_type}
    attributes |= {"layer": model.layers, "width": model.width, "versions": _versions()}
    if not texts:
        attributes["weights"] = weights_description(model, weights)
        _write(out, {}, attributes, iter(()), settings.dtype)
        return
    language_model = load_language_model(model, weights)
    attributes["weights"] = language_model.weights
    batches = token_batches(texts, settings.max_tokens_per_batch)
    log.info("%s: %d sequences of shard %d in %d batches", name, len(texts), shard, len(batches))
    arrays = (
        pair
        for batch in batches
        for pair in zip(batch, language_model.embed([texts[key] for key in batch]), strict=True)
    )
    _write(out, {key: len(text) for key, text in texts.items()}, attributes, arrays, settings.dtype)


def token_batches(texts: dict[str, str], max_tokens: int) -> list[list[str]]:
    """Keys in batches of sequences of similar length; batch size times longest sequence stays within `max_tokens`.

    A sequence longer than `max_tokens` is a batch by itself.
    """
    batches: list[list[str]] = []
    for key in sorted(texts, key=lambda k: (len(texts[k]), k)):
        longest = len(texts[key]) + SPECIAL_TOKENS  # ascending: the newest is the longest
        if batches and longest * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(key)
        else:
            batches.append([key])
    return batches


def _write(
    path: Path,
    lengths: dict[str, int],
    attributes: dict[str, str | int],
    arrays: Iterator[tuple[str, np.ndarray]],
    dtype: str,
) -> None:
    offset = np.concatenate(([0], np.cumsum(list(lengths.values())))).astype(np.int64)
    position = {key: i for i, key in enumerate(lengths)}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        shape = (int(offset[-1]), int(attributes["width"]))
        embedding = file.create_dataset("embedding", shape=shape, dtype=dtype)
        file.create_dataset("offset", data=offset)
        file.create_dataset("key", data=np.array(list(lengths), dtype="S64"))
        for key, array in arrays:
            stored = array.astype(dtype)
            if not np.isfinite(stored).all():
                raise CopraError(f"{path}: an embedding value of sequence {key} does not fit {dtype}; use float32")
            embedding[offset[position[key]] : offset[position[key] + 1]] = stored
        for name in sorted(attributes):
            file.attrs[name] = attributes[name]
        file.attrs["sequences_sha256"] = sha256_of_text("\n".join(lengths))
        file.attrs["complete"] = 1


def _versions() -> str:
    import esm
    import torch

    versions = {"copra": __version__, "torch": torch.__version__, "fair-esm": esm.__version__, "h5py": h5py.__version__}
    return json.dumps(versions, sort_keys=True)


def read_embeddings(paths: list[Path], keys: list[str]) -> dict[str, np.ndarray]:
    """The embeddings [residues, width], float32, of the sequences with these sha256.

    Raises InputError where a file is incomplete or a key is in none of them.
    """
    wanted = set(keys)
    found: dict[str, np.ndarray] = {}
    for path in sorted(paths):
        with _open(path) as file:
            offset = file["offset"][:]
            for i, raw in enumerate(file["key"][:]):
                key = raw.decode()
                if key in wanted:
                    found[key] = file["embedding"][offset[i] : offset[i + 1]].astype(np.float32)
    missing = sorted(wanted - set(found))
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
        with _open(path) as file:
            here = {n: file.attrs[n] for n in ("language_model", "molecule_type", "weights", "layer", "width")}
        if shared and here != shared:
            raise InputError(f"{path}: made by {here}, but {sorted(paths)[0]} by {shared}")
        shared = here
    if not shared:
        raise InputError("embeddings: no file given")
    return {n: int(v) if n in ("layer", "width") else str(v) for n, v in shared.items()}


def _open(path: Path) -> h5py.File:
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 file of embeddings: {error}") from error
    missing = [name for name in ATTRIBUTES if name not in file.attrs]
    if missing or int(file.attrs["complete"]) != 1:
        file.close()
        raise InputError(f"{path}: not a complete file of embeddings; lacks {missing or 'complete = 1'}")
    return file
