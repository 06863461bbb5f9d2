"""The forest plots: every experiment's number with its interval, the paper's beside it; coverage against nominal."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from copra.evaluate.figures import COLOURS, MUTED, PALE, canvas, data_uri, plain
from copra.evaluate.results import Results
from copra.evaluate.wording import METRIC_NAMES, UNITS, format_value

FAR = 2.0  # times the median of all values: what lies beyond would squeeze the others and is drawn at the edge
PAPER: dict[str, Any] = {"marker": "D", "ms": 6, "mfc": "white", "mec": COLOURS[5], "mew": 1.5, "ls": ""}
COVERAGE_COLOURS = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3])


def forest_plot(results: Results, subset: str, ceiling: float | None) -> str:
    """PCC and RMSE (kcal/mol, mean over folds) per experiment, the paper's number beside ours. A data URI.

    `ceiling` is the PCC that the noise of the labels allows. Rows without a number say why. Empty without rows.
    """
    values = results.values(subset, "fold_mean")
    if not values:
        return ""
    with canvas(11, 0.3 * len(results.order) + 1.5) as (figure, buffer):
        left, right = figure.subplots(1, 2, sharey=True)
        for axis, metric in ((left, "pcc"), (right, "rmse")):
            _forest_axis(axis, results, subset, metric, values)
            unit = f", {UNITS[metric]}" if UNITS[metric] else ""
            axis.set_xlabel(f"{METRIC_NAMES[metric]}{unit}, {results.settings.confidence:.0%} interval")
        if ceiling is not None:
            left.axvline(ceiling, color=MUTED, lw=1.2, ls=(0, (4, 3)), label=f"ceiling by label noise: {ceiling:.2f}")
        left.set_yticks(range(len(results.order)), [plain(name) for name in results.order], fontsize=9.5)
        left.set_ylim(len(results.order) - 0.4, -0.6)
        handles, names = left.get_legend_handles_labels()
        told = {name: handle for handle, name in zip(handles, names, strict=True)}
        figure.legend(list(told.values()), list(told), loc="outside upper left", ncols=3)
    return data_uri(buffer)


def _forest_axis(axis: Axes, results: Results, subset: str, metric: str, values: dict[Any, dict[str, Any]]) -> None:
    rows = [values.get((name, metric)) for name in results.order]
    papers = [results.published.find(results.name, name, subset, "fold_mean", metric) for name in results.order]
    told = [None if paper is None else float(paper.value) for paper in papers]
    low, high = _limits(metric, [row for row in rows if row and pd.notna(row["value"])], told)
    axis.set_xlim(low, high)
    if metric == "pcc":
        axis.axvline(0, color=PALE, lw=1.2, zorder=0)
    for y, (row, paper) in enumerate(zip(rows, told, strict=True)):
        axis.axhline(y, color=PALE, lw=0.4, zorder=0)
        text = _draw_row(axis, y, row, low, high)
        axis.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
        if paper is not None:
            axis.plot(paper, y, label="the paper's number", zorder=4, **PAPER)
    axis.tick_params(axis="y", length=0)


def _draw_row(axis: Axes, y: int, row: dict[str, Any] | None, low: float, high: float) -> str:
    """Draw one number with its interval; returns the words beside it."""
    if row is None or pd.isna(row["value"]):
        return str(row["status"]) if row and row["status"] != "ok" else "not defined" if row else "missing"
    if pd.notna(row["ci_low"]):
        ends = [max(row["ci_low"], low), min(row["ci_high"], high)]
        axis.plot(ends, [y, y], color=COLOURS[0], lw=2, solid_capstyle="butt", zorder=2)
    if row["value"] > high:
        axis.plot(high, y, ">", color=COLOURS[0], ms=7, clip_on=False, zorder=3)
    else:
        axis.plot(row["value"], y, "o", color=COLOURS[0], ms=5.5, label="ours", zorder=3)
    return format_value(row["value"], row["ci_low"], row["ci_high"], 2)


def _limits(metric: str, rows: list[dict[str, Any]], papers: list[float | None]) -> tuple[float, float]:
    known = [value for value in papers if value is not None]
    if metric == "pcc":
        lows = [row["ci_low"] for row in rows if pd.notna(row["ci_low"])]
        return max(min([-0.2, *lows, *known]) - 0.05, -1.02), 1.02
    values = [row["value"] for row in rows]
    if not values:
        return 0.0, max([3.0, *known])
    limit = FAR * float(pd.Series(values).median())
    highs = [end for row in rows for end in (row["value"], row["ci_high"]) if pd.notna(end) and end <= limit]
    lows = [end for row in rows for end in (row["value"], row["ci_low"]) if pd.notna(end)]
    low, high = min([*lows, *known]), max([*highs, *known, min(values)])
    return low - 0.06 * (high - low), high + 0.06 * (high - low) + 1e-6


def coverage_plot(results: Results) -> str:
    """Measured coverage of the split-conformal intervals with its interval, the nominal one as a line. A data URI.

    All records, the method `constant`; empty without any.
    """
    table = results.intervals
    part = table[(table["subset"] == "all") & (table["method"] == "constant") & table["coverage"].notna()]
    shown = [name for name in results.order if (part["experiment"] == name).any()]
    if not shown:
        return ""
    nominal = sorted(set(part["nominal_coverage"]))
    with canvas(8, 0.3 * len(shown) + 1.4) as (figure, buffer):
        axis = figure.subplots()
        for i, share in enumerate(nominal):
            colour, offset = COVERAGE_COLOURS[i % len(COVERAGE_COLOURS)], 0.24 * (i - (len(nominal) - 1) / 2)
            axis.axvline(share, color=colour, lw=1.2, ls=(0, (4, 3)), zorder=0)
            rows = part[part["nominal_coverage"] == share].set_index("experiment")
            for y, name in enumerate(shown):
                if name in rows.index:
                    row = rows.loc[name]
                    axis.plot([row["ci_low"], row["ci_high"]], [y + offset] * 2, color=colour, lw=1.8)
                    axis.plot(row["coverage"], y + offset, "o", color=colour, ms=4.5,
                              label=f"measured for {share:.0%}" if y == 0 else None)  # fmt: skip
        axis.set_yticks(range(len(shown)), [plain(name) for name in shown], fontsize=9.5)
        axis.set(ylim=(len(shown) - 0.4, -0.6), xlabel="share of records inside their interval; dashed: nominal")
        axis.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper left", ncols=4)
    return data_uri(buffer)
