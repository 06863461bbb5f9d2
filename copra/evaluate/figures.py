"""The house style of the report's pictures and the pictures of the data: the same bytes for the same tables.

SVG, in colours that the colour-blind can tell apart.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette without black and yellow, which is too pale on white
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
INK, MUTED, PALE = "#22303c", "#6b7785", "#c9d1d9"
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11, "axes.edgecolor": MUTED,
    "axes.labelcolor": INK, "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "text.color": INK, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "legend.frameon": False, "legend.fontsize": 10, "svg.hashsalt": "copra", "figure.constrained_layout.use": True,
    "path.simplify": False,  # would take away dots that are lines without length
}  # fmt: skip


@contextmanager
def canvas(width_in: float, height_in: float, *, by_hand: bool = False) -> Iterator[tuple[Figure, io.BytesIO]]:
    """A figure in the house style that is written as SVG into the buffer at the end.

    `by_hand`: the caller says where the panels are; finding places for many of them takes seconds.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE | {"figure.constrained_layout.use": not by_hand}):
        figure = Figure(figsize=(width_in, height_in))
        yield figure, buffer
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})


def data_uri(buffer: io.BytesIO) -> str:
    """An SVG as the source of an HTML image."""
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def plain(text: str) -> str:
    """Text that matplotlib prints as it stands: a dollar sign would start a formula."""
    return str(text).replace("$", r"\$")


def fold_colour(fold: int) -> str:
    """The colour of a fold."""
    return COLOURS[fold % len(COLOURS)]


def label_histogram(records: pd.DataFrame) -> str:
    """Records by dG, stacked by label grade. A data URI."""
    dg = records["dg_kcal_mol"]
    edges = np.arange(np.floor(dg.min() * 2) / 2, np.ceil(dg.max() * 2) / 2 + 0.75, 0.5).tolist()
    grades = sorted(set(records["label_grade"]))
    with canvas(5.4, 3.4) as (figure, buffer):
        axis = figure.subplots()
        axis.hist(
            [dg[records["label_grade"] == grade] for grade in grades], bins=edges, stacked=True, edgecolor="white",
            color=[COLOURS[i % len(COLOURS)] for i in range(len(grades))],
            label=[f"grade {plain(grade)} ({(records['label_grade'] == grade).sum()})" for grade in grades],
        )  # fmt: skip
        axis.set(xlabel="dG (kcal/mol), tighter to the left", ylabel="records")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend()
    return data_uri(buffer)


def funnel_picture(funnel: pd.DataFrame) -> str:
    """How many rows are left after each reason of one dataset, and how many it took. A data URI."""
    ordered = funnel.sort_values("order", ignore_index=True)
    largest = max(int(ordered["rows_in"].max()), 1)
    with canvas(7.6, 0.34 * len(ordered) + 0.9) as (figure, buffer):
        axis = figure.subplots()
        y = np.arange(len(ordered))
        lost = (ordered["rows_in"] - ordered["rows_out"]).clip(lower=0)
        axis.barh(y, ordered["rows_out"], color=COLOURS[0], height=0.66, label="left")
        axis.barh(y, lost, left=ordered["rows_out"], color=COLOURS[1], height=0.66, label="taken out or joined")
        for row, out, gone in zip(y, ordered["rows_out"], lost, strict=True):
            text = f"{out:,}" + (f"  (−{gone:,})" if gone else "")
            axis.text(out + gone + largest * 0.01, float(row), text, va="center", fontsize=10)
        names = [plain(f"{step}: {reason.replace('_', ' ')}") for step, reason in _steps(ordered)]
        axis.set_yticks(y, names, fontsize=10)
        axis.set(ylim=(len(ordered) - 0.4, -0.6), xlim=(0, largest * 1.18), xlabel="rows")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.tick_params(axis="y", length=0)
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    return data_uri(buffer)


def _steps(funnel: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(funnel["step"].str.replace("_", " "), funnel["reason"], strict=True))


def fold_balance(folds: pd.DataFrame, records: pd.DataFrame) -> str:
    """Left: the clusters that fill each fold, one block per cluster; right: the labels of each fold. A data URI."""
    joined = folds.merge(records[["record_id", "dg_kcal_mol"]], on="record_id")
    numbers = sorted(set(joined["fold"]))
    with canvas(7.6, 3.2) as (figure, buffer):
        left, right = figure.subplots(1, 2, width_ratios=[3, 2])
        for y, fold in enumerate(numbers):
            sizes = joined[joined["fold"] == fold].groupby("cluster").size().sort_values(ascending=False, kind="stable")
            start = sizes.cumsum() - sizes
            left.barh(y, sizes, left=start, height=0.7, color=fold_colour(fold), edgecolor="white", linewidth=0.5)
            left.text(sizes.sum(), y, f" {sizes.sum()} in {len(sizes)} clusters", va="center", fontsize=10)
        left.set_yticks(range(len(numbers)), [f"fold {fold}" for fold in numbers])
        left.set(xlabel="records, one block per cluster", ylim=(len(numbers) - 0.4, -0.6))
        left.set_xlim(0, joined.groupby("fold").size().max() * 1.55)
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        boxes = right.boxplot(
            [joined.loc[joined["fold"] == fold, "dg_kcal_mol"] for fold in numbers], orientation="horizontal",
            positions=range(len(numbers)), widths=0.6, patch_artist=True, medianprops={"color": INK},
            flierprops={"markersize": 3},
        )  # fmt: skip
        for patch, fold in zip(boxes["boxes"], numbers, strict=True):
            patch.set(facecolor=fold_colour(fold), alpha=0.6, edgecolor=MUTED)
        right.set(yticks=[], xlabel="dG (kcal/mol)", ylim=(len(numbers) - 0.4, -0.6))
    return data_uri(buffer)


def interface_sizes(contacts_per_record: list[int]) -> str:
    """Records by the number of residue pairs in contact. A data URI."""
    with canvas(5.4, 3.4) as (figure, buffer):
        axis = figure.subplots()
        axis.hist(contacts_per_record, bins=min(30, max(5, len(contacts_per_record) // 4)), color=COLOURS[2],
                  edgecolor="white")  # fmt: skip
        axis.set(xlabel="residue pairs in contact", ylabel="records")
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    return data_uri(buffer)
