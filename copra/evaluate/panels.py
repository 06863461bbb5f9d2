"""Small multiples: predicted against measured dG, residuals by cluster, learning curves; light even for many models."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from copra.evaluate.figures import COLOURS, INK, MUTED, PALE, canvas, data_uri, fold_colour, plain

MOST_PANELS = 30
ACROSS = 5  # panels in a row
CLUSTERS = 18  # the largest ones are shown
TITLE_LENGTH = 26  # characters of a name above a panel
Values = NDArray[np.float64]


def scatter(said: pd.DataFrame, words: dict[str, str]) -> str:
    """Predicted against measured dG (kcal/mol), one panel per experiment of `words`, which stands below its name.

    `said` holds experiment, fold, record_id, measured_dg_kcal_mol and predicted_dg_kcal_mol, one row a record; every
    prediction is drawn as a dot of one path per fold, a tenth of the size of separate marks. A data URI.
    """
    shown = list(words)[:MOST_PANELS]
    if not shown:
        return ""
    part = said[said["experiment"].isin(shown)]
    measured, guess = part["measured_dg_kcal_mol"], part["predicted_dg_kcal_mol"]
    low, high = measured.min() - 0.7, measured.max() + 0.7
    with canvas(*panel_size(len(shown), 2.15, 2.35), by_hand=True) as (figure, buffer):
        axes = grid_of_panels(figure, len(shown), bottom_in=0.55, top_in=0.7)
        folds = sorted({int(fold) for fold in part["fold"]})
        for axis, name in zip(axes, shown, strict=True):
            of_one = part["experiment"] == name
            axis.plot([low, high], [low, high], color=PALE, lw=1, zorder=1)
            for fold in folds:
                inside = (of_one & (part["fold"] == fold)).to_numpy()
                clipped = np.clip(guess[inside].to_numpy(), low + 0.1, high - 0.1)
                dots(axis, measured[inside].to_numpy(), clipped, fold_colour(fold), 3.2)
            axis.set(xlim=(low, high), ylim=(low, high))
            for direction in (axis.xaxis, axis.yaxis):
                direction.set_major_locator(MaxNLocator(4, integer=True))
            axis.set_title(f"{short_name(name)}\n{words[name]}", fontsize=8.5)
        keys = [
            Line2D([], [], marker="o", ls="", color=fold_colour(fold), ms=5, label=f"fold {fold}") for fold in folds
        ]
        figure.legend(handles=keys, loc="upper left", ncols=10, handletextpad=0.1, columnspacing=1, fontsize=9)
        label_panels(figure, "measured dG (kcal/mol)", "predicted dG (kcal/mol)")
    return data_uri(buffer)


def residuals(said: pd.DataFrame, clusters: pd.DataFrame, experiments: list[str]) -> str:
    """Predicted less measured dG (kcal/mol) of the records of the largest clusters, for a few experiments. A data URI.

    `said` as for `scatter`; `clusters` holds record_id and cluster. The last line is all other clusters together.
    """
    part = said[said["experiment"].isin(experiments)].merge(clusters[["record_id", "cluster"]], on="record_id")
    if part.empty:
        return ""
    part["residual"] = part["predicted_dg_kcal_mol"] - part["measured_dg_kcal_mol"]
    sizes = clusters.groupby("cluster").size().reset_index(name="n")
    largest = sizes[sizes["n"] > 1].sort_values(["n", "cluster"], ascending=[False, True])["cluster"].head(CLUSTERS)
    names = [*largest, ""]
    part["line"] = part["cluster"].where(part["cluster"].isin(set(largest)), "")
    with canvas(8, 0.36 * len(names) + 1.2) as (figure, buffer):
        axis = figure.subplots()
        axis.axvline(0, color=MUTED, lw=1)
        for i, experiment in enumerate(experiments):
            of_one = part[part["experiment"] == experiment]
            offset = 0.24 * (i - (len(experiments) - 1) / 2)
            for y, name in enumerate(names):
                values = of_one.loc[of_one["line"] == name, "residual"].to_numpy()
                dots(axis, values, np.full(len(values), y + offset), COLOURS[i % len(COLOURS)], 3.8)
                if len(values):
                    axis.plot([np.median(values)] * 2, [y + offset - 0.11, y + offset + 0.11], color=INK, lw=1.6)
            axis.plot([], [], "o", color=COLOURS[i % len(COLOURS)], ms=5, label=plain(experiment))
        count = dict(zip(sizes["cluster"], sizes["n"], strict=True))
        rest = len(clusters) - sum(count[name] for name in largest)
        labels = [f"{plain(name)} ({count[name]})" if name else f"all others ({rest})" for name in names]
        axis.set_yticks(range(len(names)), labels, fontsize=9.5)
        axis.set(ylim=(len(names) - 0.4, -0.6), xlabel="predicted less measured dG (kcal/mol)")
        axis.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2)
    return data_uri(buffer)


def learning_curves(curves: dict[str, dict[str, list[tuple[Values, Values]]]]) -> str:
    """Loss by epoch, one panel per experiment: median and range over seeds and folds. A data URI; empty without any.

    `curves`: experiment -> `training_loss` or `validation_loss` -> (epochs [n], losses [n]) of each seed and fold.
    """
    shown = list(curves)[:MOST_PANELS]
    if not shown:
        return ""
    with canvas(*panel_size(len(shown), 2.0, 2.1), by_hand=True) as (figure, buffer):
        axes = grid_of_panels(figure, len(shown), bottom_in=0.55, top_in=0.62, own_scales=True)
        for axis, name in zip(axes, shown, strict=True):
            tops = []
            for colour, key in zip(COLOURS, ("training_loss", "validation_loss"), strict=False):
                tops += _curve(axis, curves[name].get(key, []), colour)
            axis.set_title(short_name(name), fontsize=8.5)
            axis.set_ylim(0, max(tops, default=1.0) * 1.08 or 1.0)
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axis.yaxis.set_major_locator(MaxNLocator(4))
        keys = [
            Line2D([], [], color=colour, lw=2, label=label)
            for colour, label in zip(COLOURS, ("training", "validation"), strict=False)
        ]
        figure.legend(handles=keys, loc="upper left", ncols=2, fontsize=9)
        label_panels(figure, "epoch", "loss (standardised dG)")
    return data_uri(buffer)


def _curve(axis: Axes, lines: list[tuple[Values, Values]], colour: str) -> list[float]:
    """Draw median and range of lines; returns the heights that the panel must hold (not the first epochs' peaks)."""
    by_epoch: dict[float, list[float]] = {}
    for epochs, losses in lines:
        for epoch, loss in zip(epochs.tolist(), losses.tolist(), strict=True):
            by_epoch.setdefault(epoch, []).append(loss)
    if not by_epoch:
        return []
    told = sorted(by_epoch)
    low, middle, high = (np.array([f(by_epoch[epoch]) for epoch in told]) for f in (min, np.median, max))
    axis.fill_between(told, low, high, color=colour, alpha=0.2, lw=0)
    axis.plot(told, middle, color=colour, lw=1.4)
    return [float(np.quantile(middle, 0.95)), float(np.quantile(high, 0.9))]


def dots(axis: Axes, x: Values, y: Values, colour: str, size: float) -> None:
    """Round dots as one path of points without length: the file stays small."""
    if len(x):
        ends = np.full(len(x), np.nan)
        path = np.stack([x, x, ends], axis=1).ravel(), np.stack([y, y, ends], axis=1).ravel()
        axis.plot(*path, color=colour, lw=size, solid_capstyle="round", alpha=0.7, zorder=2)


def panel_size(n: int, width_in: float, height_in: float) -> tuple[float, float]:
    """Width and height in inches of a figure of n panels of this size."""
    across = min(ACROSS, n)
    return max(width_in * across + 0.6, 4.5), height_in * -(-n // across) + 0.6


def grid_of_panels(figure: Figure, n: int, *, bottom_in: float, top_in: float, own_scales: bool = False) -> list[Axes]:
    """n panels in a grid laid out by hand: the automatic layout takes seconds for so many."""
    width, height = figure.get_size_inches()
    across = min(ACROSS, n)
    down = -(-n // across)
    axes = figure.subplots(down, across, squeeze=False, sharex=not own_scales, sharey=not own_scales).ravel()
    figure.subplots_adjust(
        left=0.75 / width, right=1 - 0.12 / width, bottom=bottom_in / height, top=1 - top_in / height,
        wspace=0.32 if own_scales else 0.12, hspace=0.55 if own_scales else 0.42,
    )  # fmt: skip
    for axis in axes:
        axis.tick_params(labelsize=8)
    for axis in axes[n:]:
        axis.set_visible(False)
    if not own_scales:  # the last panel of every column tells the scale
        for axis in axes[max(n - across, 0) : n]:
            axis.xaxis.set_tick_params(labelbottom=True)
    return list(axes[:n])


def label_panels(figure: Figure, x: str, y: str) -> None:
    """One name for the horizontal and one for the vertical axes of all panels."""
    width, height = figure.get_size_inches()
    figure.text(0.5, 0.1 / height, x, ha="center", va="bottom", fontsize=10)
    figure.text(0.12 / width, 0.5, y, ha="left", va="center", rotation=90, fontsize=10)


def short_name(name: str) -> str:
    """A name as it fits above a panel."""
    return plain(name if len(name) <= TITLE_LENGTH else f"{name[: TITLE_LENGTH - 1]}…")
