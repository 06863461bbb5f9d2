"""Memory holds one entry of a shard, however many the shard has."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from copra.structure import distance_bins, pairs, shard, spool
from copra.structure.spool import Spool
from copra.structure.store import StructureStore, interface_ids
from copra.tables import TABLES, read_table, write_table

N_ENTRIES = 6


class Alive:
    """Counts how many results of a function exist at the same time."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._found: list[weakref.ref[Any]] = []
        self.most = 0

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        found = self._function(*arguments)
        self._found.append(weakref.ref(found))
        self.most = max(self.most, sum(one() is not None for one in self._found))
        return found

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self._found)


@pytest.fixture
def fetched(root: Path, tmp_path: Path) -> Path:
    paths = sorted((root / "resources/demo/archive/structures").rglob("0ua?.cif.gz"))[:N_ENTRIES]
    facts = {"status": "fetched", "url": "", "sha256": "", "bytes": 1, "detail": ""}
    rows = [{"pdb_id": path.name[:4], "path": str(path), **facts} for path in paths]
    write_table(pd.DataFrame(rows), tmp_path / "fetched.parquet", "fetched")
    return tmp_path / "fetched.parquet"


def read(fetched: Path) -> dict[str, Path]:
    """Read the shard; where its store and tables are."""
    out = {name: fetched.with_name(f"{name}.parquet") for name in ("entries", "chains", "contacts")}
    out["store"] = fetched.with_name("store.h5")
    shard.read_structures(fetched, contact_cutoff_angstrom=5.0, **out)
    return out


def test_a_shard_is_read_entry_by_entry(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Alive(shard.read_structure)
    monkeypatch.setattr(shard, "read_structure", reading)
    out = read(fetched)
    assert reading.calls == N_ENTRIES
    assert reading.most <= 2  # the one that is read, and the one before it until its name is bound anew
    with StructureStore(out["store"]) as store:
        assert len(store.pdb_ids) == N_ENTRIES


def test_distances_are_binned_complex_by_complex(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = read(fetched)
    folder = fetched.parent
    written = {"out": folder / "interfaces.h5", "decisions": folder / "decisions.parquet"}
    pairs.build_pair_interfaces(pairs_of(out), store=out["store"], interface_nodes=30, **written)
    measuring = Alive(distance_bins.distance_bin)
    monkeypatch.setattr(distance_bins, "distance_bin", measuring)
    distance_bins.measure_distances(written["out"], store=out["store"], out=folder / "bins.h5")
    assert measuring.calls >= N_ENTRIES
    assert measuring.most <= 2


def test_interfaces_are_cut_pair_by_pair(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = read(fetched)
    written = {name: fetched.with_name(name) for name in ("out", "decisions")}
    cutting = Alive(pairs.cut_interface)
    monkeypatch.setattr(pairs, "cut_interface", cutting)
    pairs.build_pair_interfaces(pairs_of(out), store=out["store"], interface_nodes=30, **written)
    assert cutting.calls >= N_ENTRIES
    assert cutting.most <= 2
    assert len(interface_ids([written["out"]])) == cutting.calls


def pairs_of(out: dict[str, Path]) -> Path:
    """A table `pri30k` of all contacts of a shard."""
    chains = read_table(out["chains"], "chains").set_index(["pdb_id", "chain"])["sequence_sha256"]
    empty = {"string": "", "int64": 0, "double": 0.0, "bool": False}
    nothing = {field.name: empty[str(field.type)] for field in TABLES["pri30k"].schema()}
    rows = []
    for row in read_table(out["contacts"], "contacts").itertuples():
        named = {"pdb_id": row.pdb_id, "protein_chain": row.protein_chain, "rna_chain": row.rna_chain}
        keys = {
            "protein_sha256": chains[row.pdb_id, row.protein_chain],
            "rna_sha256": chains[row.pdb_id, row.rna_chain],
        }
        pair_id = f"{row.pdb_id}:{row.protein_chain}:{row.rna_chain}"
        rows.append({**nothing, **named, **keys, "pair_id": pair_id, "case_safe_key": pair_id})
    write_table(pd.DataFrame(rows), out["store"].with_name("pri30k.parquet"), "pri30k")
    return out["store"].with_name("pri30k.parquet")


@pytest.mark.parametrize("block_bytes", [1, 40, spool.BLOCK_BYTES])
def test_rows_are_written_in_the_order_asked_for(
    block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BLOCK_BYTES", block_bytes)
    rows = np.arange(24, dtype="f4").reshape(8, 3)
    with Spool({"xyz": ("f4", (3,)), "none": ("S1", ())}, tmp_path) as spooled:
        first, second, third = (spooled.add("xyz", rows[part]) for part in (slice(0, 3), slice(3, 3), slice(3, 8)))
        with h5py.File(tmp_path / "a.h5", "w") as file:
            spooled.write("xyz", [third, second, first], file)
            spooled.write("none", [], file)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["xyz"][()].tolist() == [*rows[3:].tolist(), *rows[:3].tolist()]
        assert file["none"].shape == (0,)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
