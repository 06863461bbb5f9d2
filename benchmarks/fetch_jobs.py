"""The job of benchmarks/fetch.py that runs in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from copra.fetch.structures import fetch_structures
from copra.tables import TABLES, write_table

SHARDS = 64


def fetch_all(ids: list[str], url: str, folder: str, parallel_downloads: int) -> dict[str, Any]:
    """Fetch the structures of `ids` as the rule does, without a limit on the rate."""
    wanted = Path(folder) / "wanted.parquet"
    table = pd.DataFrame({"pdb_id": ids, "shard": [i % SHARDS for i in range(len(ids))]})
    for name in TABLES["wanted_entries"].schema().names[2:]:
        table[name] = ""
    write_table(table, wanted, "wanted_entries")
    fetch_structures(
        wanted, shards=SHARDS, url=[url], folder=Path(folder) / "structures", parallel_downloads=parallel_downloads,
        requests_per_s=None, retries=2, timeout_s=60, min_bytes_per_s=0, missing="stop", out=Path(folder) / "fetched",
    )  # fmt: skip
    return {}
