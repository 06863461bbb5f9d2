"""The heat map of a mutation scan as PNG: the same residues, substitutions and colours as the page."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from copra.evaluate.figures import INK, MUTED, STYLE, plain
from copra.files import replacing
from copra.predict.figures import DIVERGING, MISSING
from copra.predict.scan_page import ScanAbout, ScanBlock, colour_limit, scan_blocks

ROWS_PER_PANEL = 40
CELL_IN = 0.21
DPI = 160
LARGEST_SIDE_PIXELS = 30000


def write_scan_picture(scan: pd.DataFrame, about: ScanAbout, out: Path) -> None:
    """Write the picture of a scan; `scan` has `scan_page.SCAN_COLUMNS`. The same table gives the same bytes.

    Residues stand from above, at most 40 in a panel, panels side by side. Raises InputError as `scan_blocks`.
    """
    blocks = scan_blocks(scan)
    panels = [
        ScanBlock(block.molecule, block.letters, block.rows[first : first + ROWS_PER_PANEL])
        for block in blocks
        for first in range(0, len(block.rows), ROWS_PER_PANEL)
    ]
    named = {block.molecule: block.several_chains for block in blocks}
    norm = Normalize(-(limit := colour_limit(blocks)), limit)
    anchors = [tuple(c / 255 for c in colour) for colour in DIVERGING]
    colours = LinearSegmentedColormap.from_list("ddg", anchors).with_extremes(bad=MISSING)
    tallest = max(len(panel.rows) for panel in panels)
    widths = [len(panel.letters) + 4.5 for panel in panels]
    size = (max(sum(widths) * CELL_IN + 1.2, 5.0), tallest * CELL_IN + 1.5)
    with mpl.rc_context(STYLE | {"font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=size, dpi=min(DPI, LARGEST_SIDE_PIXELS / max(size)))
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=[len(panel.letters) for panel in panels])[0]
        for axis, panel in zip(axes, panels, strict=True):
            _draw(axis, panel, tallest, colours, norm, with_chain=named[panel.molecule])
        bar = figure.colorbar(ScalarMappable(norm, colours), ax=list(axes), shrink=min(1.0, 2.5 / size[1]), pad=0.02)
        bar.set_label("ddG (kcal/mol)\nred binds more weakly")
        bar.outline.set_visible(False)
        figure.suptitle(f"{plain(about.complex_id)}: predicted ddG of substitutions", fontsize=11)
        with replacing(out) as temporary:
            canvas.print_figure(temporary, format="png", metadata={"Software": None})


def _draw(axis: Axes, panel: ScanBlock, tallest: int, colours: Colormap, norm: Normalize, *, with_chain: bool) -> None:
    values = np.full((len(panel.rows), len(panel.letters)), np.nan)
    for y, row in enumerate(panel.rows):
        for letter, value in row.ddg_kcal_mol.items():
            values[y, panel.letters.index(letter)] = value
    grid = np.ma.masked_invalid(values)
    axis.pcolormesh(grid, cmap=colours, norm=norm, edgecolors="white", linewidth=0.8)
    is_wild = np.array([[letter == row.wild_type for letter in panel.letters] for row in panel.rows])
    for cells, mark, size, colour in ((is_wild, "o", 3.2, INK), (np.isnan(values) & ~is_wild, "_", 4.0, MUTED)):
        ys, xs = np.nonzero(cells)
        axis.plot(xs + 0.5, ys + 0.5, mark, ms=size, color=colour)
    names = [f"{row.chain}:{row.name}" if with_chain else row.name for row in panel.rows]
    axis.set_yticks(np.arange(len(names)) + 0.5, [plain(name) for name in names])
    axis.set_xticks(np.arange(len(panel.letters)) + 0.5, list(panel.letters))
    axis.set(xlim=(0, len(panel.letters)), ylim=(tallest, 0))
    axis.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_xlabel(f"{panel.title}; dot: wild type, dash: not computed" if len(panel.letters) > 4 else panel.title)
