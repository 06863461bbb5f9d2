"""A build beside a published list: `copra diff pri30k` and `copra diff pra310`."""

from __future__ import annotations

from pathlib import Path

from copra.errors import InputError
from copra.pra310.diff import diff_pra310
from copra.pri30k.diff import diff_pri30k

DATASETS = {"pri30k": diff_pri30k, "pra310": diff_pra310}


def diff(dataset: str, *, results: Path, published: Path, out: Path) -> None:
    """Compare a data set of the build in `results` with a published list and print the counts.

    Every row, with its verdict and reason, goes to `out` (Parquet). The list is the CSV file of the published PRA310,
    or for pri30k a list of chain pairs. Raises InputError when there is no such data set, list or build.
    """
    if dataset not in DATASETS:
        raise InputError(f"diff: expected one of {', '.join(DATASETS)}, found '{dataset}'")
    DATASETS[dataset](results, published, out)
