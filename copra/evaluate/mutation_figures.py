"""The pictures of Table 2: every experiment's number on the band of random predictions, predicted against measured."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from copra.evaluate.figures import COLOURS, INK, MUTED, PALE, canvas, data_uri, plain
from copra.evaluate.mutation_metrics import ABSOLUTE, PER_COMPLEX, POOLED
from copra.evaluate.mutation_results import TRAINING_NAMES, MutationResults
from copra.evaluate.mutation_scores import FEWEST_MUTATIONS
from copra.evaluate.panels import MOST_PANELS, dots, grid_of_panels, label_panels, panel_size, short_name
from copra.evaluate.wording import format_value

PANELS = (
    (PER_COMPLEX, "mean over complexes, signed"), (POOLED, "all mutations together"),
    (ABSOLUTE, "published: mean over complexes, no sign"),
)  # fmt: skip
MARKS = {"all": ("o", COLOURS[0]), "unseen": ("D", COLOURS[5])}
# the house colours, then two more; further complexes are grey
COMPLEX_COLOURS = (*COLOURS, INK, "#8C6BB1")


def null_bands(results: MutationResults, subset: str) -> str:
    """PCC of every experiment with its interval, on a grey bar that random predictions fill. A data URI.

    Empty where no experiment has a number.
    """
    trainings = results.trainings(subset)
    found = [results.find(subset, training, aggregate, "pcc") for training in trainings for aggregate, _ in PANELS]
    if not any(pd.notna(row["value"]) for rows in found for row in rows.values()):
        return ""
    with canvas(12, 0.42 * len(results.order) + 1.6) as (figure, buffer):
        axes = figure.subplots(1, len(PANELS), sharey=True)
        for axis, (aggregate, title) in zip(axes, PANELS, strict=True):
            _bands(axis, results, {way: results.find(subset, way, aggregate, "pcc") for way in trainings})
            axis.axvline(0, color=MUTED, lw=1, zorder=1)
            axis.set(xlabel=f"PCC, {results.settings.confidence:.0%} interval", xlim=(-1.02, 1.02))
            axis.set_title(title, fontsize=10)
        axes[0].set_yticks(range(len(results.order)), [plain(name) for name in results.order], fontsize=9.5)
        axes[0].set_ylim(len(results.order) - 0.4, -0.6)
        band = Patch(color=PALE, label=f"{results.settings.confidence:.0%} of random predictions")
        keys = [
            Line2D([], [], marker=MARKS[way][0], color=MARKS[way][1], lw=2, ms=5.5, label=TRAINING_NAMES[way])
            for way in trainings
        ]
        figure.legend(handles=[band, *keys], loc="outside upper left", ncols=3)
    return data_uri(buffer)


def _bands(axis: Axes, results: MutationResults, rows: dict[str, dict[str, dict[str, Any]]]) -> None:
    step = 0.36
    for y, name in enumerate(results.order):
        if not any(name in of_way and pd.notna(of_way[name]["value"]) for of_way in rows.values()):
            told = [str(of_way[name]["status"]) for of_way in rows.values() if name in of_way]
            text = "missing" if not told else "not defined" if told[0] in ("ok", "partial") else told[0]
            axis.annotate(text, (0.04, y), va="center", fontsize=9, color=MUTED)
        for i, (way, of_way) in enumerate(rows.items()):
            row = of_way.get(name)
            if row is None or pd.isna(row["value"]):
                continue
            height = y + step * (i - (len(rows) - 1) / 2)
            number = {key: float(row[key]) for key in ("value", "ci_low", "ci_high", "null_low", "null_high")}
            mark, colour = MARKS[way]
            axis.barh(height, number["null_high"] - number["null_low"], left=number["null_low"], height=0.3, color=PALE)
            axis.plot([number["ci_low"], number["ci_high"]], [height] * 2, color=colour, lw=2, solid_capstyle="butt")
            axis.plot(number["value"], height, mark, color=colour, ms=5)
    axis.tick_params(axis="y", length=0)


def mutation_scatter(said: pd.DataFrame, words: dict[str, str]) -> str:
    """Predicted against measured ddG (kcal/mol), one panel per experiment of `words`, coloured by complex. A data URI.

    `said` holds experiment, mutation_id, complex_id, measured_ddg_kcal_mol and
    predicted_ddg_kcal_mol, one row a mutation.
    """
    shown = list(words)[:MOST_PANELS]
    part = said[said["experiment"].isin(shown)]
    if part.empty:
        return ""
    colours = complex_colours(part)
    measured, guess = part["measured_ddg_kcal_mol"], part["predicted_ddg_kcal_mol"]
    low, high = measured.min() - 0.4, measured.max() + 0.4
    clipped = guess.clip(low + 0.05, high - 0.05)
    width, height = panel_size(len(shown), 2.15, 2.35)
    with canvas(width, height + 0.4, by_hand=True) as (figure, buffer):
        axes = grid_of_panels(figure, len(shown), bottom_in=0.55, top_in=1.1)
        for axis, name in zip(axes, shown, strict=True):
            axis.plot([low, high], [low, high], color=PALE, lw=1, zorder=1)
            axis.axhline(0, color=PALE, lw=0.6, zorder=1)
            axis.axvline(0, color=PALE, lw=0.6, zorder=1)
            for names, colour in colours.values():
                inside = ((part["experiment"] == name) & part["complex_id"].isin(names)).to_numpy()
                dots(axis, measured[inside].to_numpy(), clipped[inside].to_numpy(), colour, 3.2)
            axis.set(xlim=(low, high), ylim=(low, high))
            for direction in (axis.xaxis, axis.yaxis):
                direction.set_major_locator(MaxNLocator(4, integer=True))
            axis.set_title(f"{short_name(name)}\n{words[name]}", fontsize=8.5)
        keys = [
            Line2D([], [], marker="o", ls="", color=colour, ms=5, label=plain(label))
            for label, (_, colour) in colours.items()
        ]
        across = max(int(figure.get_size_inches()[0] / 1.2), 2)
        figure.legend(handles=keys, loc="upper left", ncols=across, handletextpad=0.1, columnspacing=1, fontsize=9)
        label_panels(figure, "measured ddG (kcal/mol)", "predicted ddG (kcal/mol)")
    return data_uri(buffer)


def complex_colours(said: pd.DataFrame) -> dict[str, tuple[set[str], str]]:
    """Label -> complexes and colour: the largest complexes have one each, the others are grey together."""
    sizes = said.drop_duplicates("mutation_id").groupby("complex_id").size()
    ranked = sorted(((int(n), str(name)) for name, n in sizes.items()), key=lambda item: (-item[0], item[1]))
    large = [(n, name) for n, name in ranked if n >= FEWEST_MUTATIONS][: len(COMPLEX_COLOURS)]
    found = {f"{name.split(':')[0]} ({n})": ({name}, COMPLEX_COLOURS[i]) for i, (n, name) in enumerate(large)}
    rest = [(n, name) for n, name in ranked if (n, name) not in large]
    if rest:
        found[f"others ({sum(n for n, _ in rest)})"] = ({name for _, name in rest}, MUTED)
    return found


def panel_words(row: dict[str, Any] | None, pooled: dict[str, Any] | None) -> str:
    """What stands below an experiment's name: PCC per complex and of all mutations."""
    told = [format_value(one["value"], None, None, 2) if one else "–" for one in (row, pooled)]
    return f"PCC {told[0]} per complex, {told[1]} all"
