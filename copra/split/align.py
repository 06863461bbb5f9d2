"""Pairwise identities: every two chains of one molecule, aligned once, for the split families and the leakage report.

Below the identities that CD-HIT or any search by shared words can reach, the few hundred chains are compared
exhaustively in minutes, and no pair is missed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd

from copra.config_split import PairAlignment
from copra.errors import CopraError
from copra.progress import progress
from copra.split.clusters import MOLECULES, chain_sequences, distinct_sequences
from copra.split.pairwise import Comparison, Match, compare
from copra.tables import empty_table, read_table, write_table

log = logging.getLogger(__name__)


def align_sequences(records: Path, *, settings: PairAlignment, threads: int, out: Path) -> None:
    """Align every two distinct protein sequences and every two distinct RNA sequences of the records.

    Writes the table `identities`; the bytes do not depend on `threads`. Raises InputError on a record without
    sequence.
    """
    table = read_table(records, "records").sort_values("record_id")
    sequences: dict[str, str] = {}
    keys: list[tuple[str, str, list[str]]] = []
    tasks: list[Comparison] = []
    for molecule, scoring in zip(MOLECULES, (settings.protein, settings.rna), strict=True):
        found = distinct_sequences(chain_sequences(table, molecule, records))
        own = sorted(found)
        sequences |= found
        for i, key in enumerate(own):
            keys.append((molecule, key, own[i + 1 :]))
            tasks.append(Comparison(molecule, scoring, found[key], [found[other] for other in own[i + 1 :]]))
    rows: list[dict[str, Any]] = []
    for (molecule, key, others), matches in zip(keys, compare_all(tasks, threads), strict=True):
        rows += [
            {
                "molecule_type": molecule, "sequence_a": key, "sequence_b": other,
                "n_residues_a": len(sequences[key]), "n_residues_b": len(sequences[other]),
                "n_aligned": match.n_aligned, "n_identical": match.n_identical, "score": match.score,
                "identity": match.identity,
            }
            for other, match in zip(others, matches, strict=True)
        ]  # fmt: skip
    log.info("%d sequences, %d pairs", len(keys), len(rows))
    write_table(pd.DataFrame(rows) if rows else empty_table("identities"), out, "identities")


def compare_all(tasks: list[Comparison], threads: int) -> Iterator[list[Match]]:
    """The matches of each task, in the order of the tasks, from `threads` processes.

    Raises CopraError where one of them is ended from outside.
    """
    if threads == 1 or len(tasks) < 2:
        yield from progress(map(compare, tasks), "sequences aligned", len(tasks))
        return
    # spawned, not forked: a fork copies whatever threads and locks the parent holds
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(threads, mp_context=spawn, initializer=end_with_parent) as pool:
        try:
            yield from progress(pool.map(compare, tasks), "sequences aligned", len(tasks))
        except BrokenProcessPool as error:
            raise CopraError(
                f"one of {threads} processes that align sequences was ended from outside, most often for want of "
                "memory: give the job more memory or fewer threads, then type the same command again"
            ) from error


def end_with_parent() -> None:
    """Let this process end when the one that started it is gone; a worker would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
