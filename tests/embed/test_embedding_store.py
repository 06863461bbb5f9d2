from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from copra.config import Embed, Esm2, Rinalmo
from copra.embed.language_models import load_language_model
from copra.embed.sequences import list_sequences
from copra.embed.shard import embed_sequences
from copra.embed.store import find_problem, read_description, read_embeddings, rounded
from copra.errors import CopraError, InputError
from copra.files import sha256_of_text
from copra.tables import TABLES, empty_table, read_table, write_table

ESM = Esm2(family="esm2", layers=2, width=32, heads=4, weights="random:3")
RNA = Rinalmo(family="rinalmo", layers=2, width=16, heads=2, weights="random:3")
SETTINGS = Embed(shards=2, max_tokens_per_batch=40, dtype="float32", autocast="none")
PROTEINS = ["MKTAYIAKQR", "MK", "GXGSSVLIMWPKRDEHC", "AAAA", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"]
RNAS = ["ACGU", "AAAA", "GGGAAACUUCGGUUUCC", "N"]


def filled(name: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of a table with a neutral value in every column that a row does not name."""
    neutral = {"string": "", "int": 0, "float": 1.0, "bool": False}
    blank = {c.split()[0]: neutral[c.split()[1].rstrip("?")] for c in TABLES[name].columns}
    frame = pd.DataFrame([{**blank, **row} for row in rows])
    return frame if len(frame) else empty_table(name)


def chain_table(path: Path) -> Path:
    # a chain of ribo- and deoxyribonucleotides counts as RNA
    nucleic = [("hybrid" if s == RNAS[2] else "rna", s) for s in RNAS]
    rows = [("protein", s) for s in PROTEINS] + nucleic + [("rna", "ACGU"), ("dna", "ACGT")]
    chains = [
        {"pdb_id": f"x{i:03}", "chain": "A", "molecule_type": kind, "sequence": s, "sequence_sha256": sha256_of_text(s)}
        for i, (kind, s) in enumerate(rows)
    ]
    write_table(filled("chains", chains), path, "chains")
    return path


def sequence_table(folder: Path, shards: int) -> Path:
    sha = sha256_of_text
    records = [
        {"record_id": "a", "protein_sha256": f"{sha(PROTEINS[0])},{sha(PROTEINS[4])}", "rna_sha256": sha(RNAS[0])},
        {"record_id": "b", "protein_sha256": sha(PROTEINS[3]), "rna_sha256": f"{sha(RNAS[1])},{sha(RNAS[3])}"},
    ]
    pairs = [{"pair_id": "p", "protein_sha256": sha(PROTEINS[2]), "rna_sha256": sha(RNAS[2])}]
    write_table(filled("records", records), folder / "records.parquet", "records")
    write_table(filled("pri30k", pairs), folder / "pri30k.parquet", "pri30k")
    list_sequences(
        chain_table(folder / "chains.parquet"),
        records=folder / "records.parquet",
        pri30k=folder / "pri30k.parquet",
        shards=shards,
        out=folder / "sequences.parquet",
    )
    return folder / "sequences.parquet"


def test_list_covers_records_and_pairs_and_nothing_else(tmp_path: Path) -> None:
    table = read_table(sequence_table(tmp_path, 2), "sequences")
    protein = set(table.loc[table["molecule_type"] == "protein", "sequence"])
    rna = set(table.loc[table["molecule_type"] == "rna", "sequence"])
    assert protein == set(PROTEINS) - {"MK"}
    assert rna == set(RNAS)  # AAAA is a peptide and an RNA at once: two rows
    assert (table["n_residues"] == table["sequence"].str.len()).all()
    assert set(table["shard"]) <= {0, 1}


def test_a_sequence_of_no_chain_is_refused(tmp_path: Path) -> None:
    sequence_table(tmp_path, 2)
    stranger = [{"pair_id": "9xyz:A:B", "protein_sha256": sha256_of_text("WWW"), "rna_sha256": sha256_of_text("ACGU")}]
    write_table(filled("pri30k", stranger), tmp_path / "pri30k.parquet", "pri30k")
    with pytest.raises(InputError, match=r"9xyz:A:B: protein sequence"):
        list_sequences(
            tmp_path / "chains.parquet",
            records=tmp_path / "records.parquet",
            pri30k=tmp_path / "pri30k.parquet",
            shards=2,
            out=tmp_path / "out.parquet",
        )


@pytest.mark.parametrize(("model", "texts"), [(ESM, PROTEINS), (RNA, RNAS)])
def test_store_gives_what_the_model_gives_one_by_one(tmp_path: Path, model, texts: list[str]) -> None:
    sequences = sequence_table(tmp_path, 2)
    paths = [tmp_path / f"{shard}.h5" for shard in range(2)]
    for shard, path in enumerate(paths):
        embed_sequences(sequences, shard=shard, name="tiny", model=model, settings=SETTINGS, out=path)
    texts = [t for t in texts if t != "MK"]
    found = read_embeddings(paths, [sha256_of_text(t) for t in texts])
    loaded = load_language_model(model, None)
    for text in texts:
        alone = loaded.embed([text])[0]
        assert found[sha256_of_text(text)].shape == (len(text), model.width)
        np.testing.assert_allclose(found[sha256_of_text(text)], alone, atol=1e-5)
    assert read_description(paths)["weights"] == "random:3"
    with pytest.raises(InputError, match="first"):
        read_embeddings(paths, [sha256_of_text("MK")])


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    sequences = sequence_table(tmp_path, 1)
    shuffled = pd.read_parquet(sequences).sample(frac=1, random_state=1)
    write_table(shuffled, tmp_path / "shuffled.parquet", "sequences")
    half = SETTINGS.model_copy(update={"dtype": "float16"})
    for name, table in (("a", sequences), ("b", tmp_path / "shuffled.parquet")):
        embed_sequences(table, shard=0, name="tiny", model=ESM, settings=half, out=tmp_path / f"{name}.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["embedding"].dtype == np.float16
        assert file["embedding"].chunks is None


def test_an_empty_shard_is_a_valid_file(tmp_path: Path) -> None:
    write_table(empty_table("sequences"), tmp_path / "none.parquet", "sequences")
    out = tmp_path / "0.h5"
    embed_sequences(tmp_path / "none.parquet", shard=0, name="tiny", model=RNA, settings=SETTINGS, out=out)
    assert read_embeddings([out], []) == {}
    assert read_description([out])["width"] == 16


def test_files_of_two_models_do_not_mix(tmp_path: Path) -> None:
    sequences = sequence_table(tmp_path, 1)
    other = RNA.model_copy(update={"weights": "random:4"})
    for name, model in (("a", RNA), ("b", other)):
        embed_sequences(sequences, shard=0, name="tiny", model=model, settings=SETTINGS, out=tmp_path / f"{name}.h5")
    with pytest.raises(InputError, match="random:4"):
        read_description([tmp_path / "a.h5", tmp_path / "b.h5"])


def test_an_incomplete_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "half.h5", "w") as file:
        file.attrs["language_model"] = "tiny"
    with pytest.raises(InputError, match="not a complete file"):
        read_embeddings([tmp_path / "half.h5"], [])
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match="not a complete file"):
        read_embeddings([tmp_path / "text.h5"], [])


def damage_of(data: bytes, choice: random.Random) -> bytes:
    """The bytes of a file, cut short, or with some bits or a run of bytes changed."""
    at = choice.randrange(len(data))
    kind = choice.randrange(4)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(min(64, len(data) - at)) + data[at + 64 :]
    changed = bytearray(data)
    for _ in range(1 if kind == 2 else 20):
        changed[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    return bytes(changed)


def test_damage_anywhere_is_found_or_does_no_harm(tmp_path: Path) -> None:
    sequences, path = sequence_table(tmp_path, 1), tmp_path / "a.h5"
    embed_sequences(sequences, shard=0, name="tiny", model=RNA, settings=SETTINGS, out=path)
    assert find_problem(path) == ""
    keys = [sha256_of_text(text) for text in RNAS]
    data, expected, choice = path.read_bytes(), read_embeddings([path], keys), random.Random(4)
    found = 0
    for _ in range(400):
        path.write_bytes(damage_of(data, choice))
        if find_problem(path):
            found += 1
            continue
        for key, array in read_embeddings([path], keys).items():
            np.testing.assert_array_equal(array, expected[key])
    assert found > 200


READER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from copra.embed.store import read_embeddings
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    [array] = read_embeddings([Path(sys.argv[2])], [sys.argv[3]]).values()
    assert array.sum() == float(sys.argv[4])
"""


def test_many_processes_read_a_file_while_it_is_written_anew(tmp_path: Path) -> None:
    sequences, path = sequence_table(tmp_path, 1), tmp_path / "a.h5"
    settings = {"shard": 0, "name": "tiny", "model": RNA, "settings": SETTINGS, "out": path}
    embed_sequences(sequences, **settings)
    key = sha256_of_text(RNAS[2])
    words = [str(Path(__file__).resolve().parents[2]), str(path), key, str(read_embeddings([path], [key])[key].sum())]
    started = [sys.executable, "-c", READER, *words]
    readers = [subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "ready\n"
    for reader in readers:
        assert reader.stdin
        reader.stdin.close()
    with h5py.File(path, "r"):  # a reader that locks does not hold up the others, nor does a writer
        while any(reader.poll() is None for reader in readers):
            embed_sequences(sequences, **settings)
    assert [reader.returncode for reader in readers] == [0, 0, 0, 0]


def test_a_file_says_how_it_was_made(tmp_path: Path) -> None:
    sequences = sequence_table(tmp_path, 1)
    embed_sequences(sequences, shard=0, name="tiny", model=ESM, settings=SETTINGS, out=tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        said = dict(file.attrs)
    assert said["language_model"] == "tiny"
    assert (said["weights"], said["layer"], said["heads"], said["dtype"]) == ("random:3", 2, 4, "float32")
    assert said["residue_numbering"].startswith("0-based position in the full sequence")
    assert json.loads(said["versions"]).keys() == {"copra", "torch", "fair-esm", "numpy", "h5py"}


def test_what_float16_costs_is_in_the_file(tmp_path: Path) -> None:
    sequences = sequence_table(tmp_path, 1)
    half = SETTINGS.model_copy(update={"dtype": "float16"})
    for name, settings in (("half", half), ("full", SETTINGS)):
        embed_sequences(sequences, shard=0, name="tiny", model=ESM, settings=settings, out=tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "half.h5") as one, h5py.File(tmp_path / "full.h5") as other:
        difference = np.abs(one["embedding"][:].astype(np.float32) - other["embedding"][:])
        starts = other["offset"][:-1]
        largest = np.maximum.reduceat(difference.max(axis=1), starts)
        np.testing.assert_array_equal(one["max_absolute_error"][:], largest)
        assert 0 < one["max_relative_error"][:].max() < 2**-11
        assert not other["max_absolute_error"][:].any()


def test_a_value_too_large_for_float16_is_an_error() -> None:
    with pytest.raises(CopraError, match="abc does not fit float16; use float32"):
        rounded(np.full((2, 3), 1e5, np.float32), "float16", "abc")
