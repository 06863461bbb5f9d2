"""The whole sequences of complexes as samples: all residues of all chains, without coordinates.

For models that read sequences only. It looks like copra/train/complexes.py to the training loop.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from copra.train.samples import SampleSet


def open_sequences(records: pd.DataFrame, *, protein: list[Path], rna: list[Path]) -> SampleSet:
    """The sequences of `records` (rows of the table `records`), in this order."""
    raise NotImplementedError
