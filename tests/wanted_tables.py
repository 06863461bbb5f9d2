"""The table of wanted entries, and the files of a folder, for the tests of fetching."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.tables import TABLES, write_table

N_SHARDS = 3


def write_wanted(ids: list[str], path: Path) -> Path:
    """A table of wanted entries, dealt into shards; the last shard stays empty."""
    table = pd.DataFrame({"pdb_id": ids, "shard": [i % (N_SHARDS - 1) for i in range(len(ids))]})
    for name in TABLES["wanted_entries"].schema().names[2:]:
        table[name] = ""
    write_table(table, path, "wanted_entries")
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: its bytes by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
