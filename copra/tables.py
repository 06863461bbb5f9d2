"""Tables are written and read here only: checked against copra/schemas.py, sorted by their key.

They are Parquet files, and the same rows always give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from copra.errors import InputError
from copra.files import replacing
from copra.schemas import RNA_CHAIN_TYPES, TABLES

__all__ = [
    "RNA_CHAIN_TYPES", "TABLES", "concat_tables", "empty_table", "read_table", "write_table"
]  # fmt: skip


def write_table(frame: pd.DataFrame, path: Path, name: str) -> None:
    """Write `frame` as the table `name`, sorted by its key.

    Raises InputError when a column is missing or unknown, a value has the wrong type or is missing
    where it must not be, or two rows have the same key.
    """
    table = TABLES[name]
    schema = table.schema()
    unknown = [str(c) for c in frame.columns if c not in schema.names]
    missing = [c for c in schema.names if c not in frame.columns]
    if unknown or missing:
        raise InputError(f"{path}: table '{name}' lacks the columns {missing} and has the unknown columns {unknown}")
    ordered = frame[schema.names].sort_values(list(table.key), kind="stable").reset_index(drop=True)
    twice = ordered[ordered.duplicated(list(table.key))]
    if len(twice):
        raise InputError(f"{path}: table '{name}' has two rows with the key {tuple(twice.iloc[0][list(table.key)])}")
    arrow = _to_arrow(ordered, schema, path, name)
    with replacing(path) as temporary:
        pq.write_table(arrow, temporary)


def _to_arrow(frame: pd.DataFrame, schema: pa.Schema, path: Path, name: str) -> pa.Table:
    columns = []
    for field in schema:
        try:
            column = pa.Array.from_pandas(frame[field.name], type=field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(
                f"{path}: table '{name}', column '{field.name}': expected {field.type}: {error}"
            ) from error
        if column.null_count and not field.nullable:
            row = frame[frame[field.name].isna()].iloc[0]
            raise InputError(f"{path}: table '{name}', column '{field.name}': no value in the row {row.to_dict()}")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def read_table(path: Path, name: str, max_rows: int | None = None) -> pd.DataFrame:
    """Read the table `name`; raises InputError when the file has other columns or types than the table.

    With `max_rows`, for tables from elsewhere, a longer one is refused before it is read.
    """
    try:
        if max_rows is not None and (n_rows := pq.read_metadata(path).num_rows) > max_rows:
            raise InputError(f"{path}: expected at most {max_rows} rows of the table '{name}', found {n_rows}")
        arrow = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable Parquet file with table '{name}': {error}") from error
    schema = TABLES[name].schema()
    if not arrow.schema.equals(schema, check_metadata=False):
        raise InputError(
            f"{path}: expected table '{name}' of this version of copra, found {_difference(arrow.schema, schema)}; "
            "if another version made the file, delete it and type the same command again"
        )
    return arrow.to_pandas()


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    """How the columns of a file differ from a table's, in a few words."""
    missing = [name for name in expected.names if name not in found.names]
    unknown = [name for name in found.names if name not in expected.names]
    both = [name for name in expected.names if name in found.names]
    other = [f"{name} {found.field(name).type}" for name in both if found.field(name) != expected.field(name)]
    kinds = (("without", missing), ("with the unknown", unknown), ("with the other types", other))
    told = [f"one {kind} {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" for kind, names in kinds if names]
    return " and ".join(told) or "one with its columns in another order"


def empty_table(name: str) -> pd.DataFrame:
    """The table `name` without rows."""
    return TABLES[name].schema().empty_table().to_pandas()


def concat_tables(paths: list[Path], name: str) -> pd.DataFrame:
    """The rows of several files of the table `name`."""
    frames = [read_table(path, name) for path in sorted(paths)]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else empty_table(name)
