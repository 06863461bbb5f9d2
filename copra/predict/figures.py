"""Pictures of a prediction as SVG text: the scale of training labels, the contact map; and the diverging colours.

Written by hand rather than with matplotlib, whose import alone takes as long as a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

# From blue over a pale grey to red, which the colour-blind tell apart; lightness falls evenly to both ends
DIVERGING = ((8, 81, 156), (91, 160, 208), (232, 232, 230), (239, 138, 98), (165, 15, 21))
MISSING = "#ffffff"
NEAR, FAR = (63, 32, 94), (222, 211, 232)  # contacts: the nearest is the darkest
INK, MUTED, LINE, BAR, BAND = "#22303c", "#5c6873", "#dde3e8", "#b9c6d0", "#0072b2"
BIN_KCAL_MOL = 0.5
WIDEST_KCAL_MOL = 8.0  # of an interval beyond the labels and the value
FARTHEST_KCAL_MOL = 30.0  # of a value from the labels


def blend(colours: Sequence[tuple[int, int, int]], place: float) -> str:
    """The colour at a place from 0 (first) to 1 (last); places outside are the ends."""
    position = min(max(place, 0.0), 1.0) * (len(colours) - 1)
    left = min(int(position), len(colours) - 2)
    part = position - left
    mixed = (round(a + (b - a) * part) for a, b in zip(colours[left], colours[left + 1], strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def diverging(destabilising: float, limit: float) -> str:
    """Blue for -limit and below, grey for 0, red for +limit and above; white for what is not a number."""
    if not math.isfinite(destabilising):
        return MISSING
    return blend(DIVERGING, 0.5 + destabilising / (2 * limit))


def text_colour(background: str) -> str:
    """Ink or white, whichever has the higher contrast (WCAG's relative luminance) on the colour `#rrggbb`."""
    channels = [int(background[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.25 else "#ffffff"


def colour_limit(values: Sequence[float], percentile: float) -> float:
    """Where the diverging colours end: this percentile of the absolute values, so that one outlier does not bleach
    the rest; 1 where no value is other than 0."""
    absolute = sorted(abs(value) for value in values if math.isfinite(value) and value != 0)
    if not absolute:
        return 1.0
    return absolute[max(0, math.ceil(len(absolute) * percentile / 100) - 1)]


def signed(value: float, digits: int) -> str:
    """`+0.52`, `−1.30`, `0.00`; a dash for what is not a number. A proper minus sign, as in print."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def legend(limit: float, digits: int) -> Markup:
    """The colour bar from blue (-limit) to red (+limit) without words."""
    stops = Markup("").join(
        Markup('<stop offset="{}" stop-color="{}"/>').format(i / 8, blend(DIVERGING, i / 8)) for i in range(9)
    )
    return Markup(
        '<svg class="bar" viewBox="0 0 260 14" width="260" height="14" role="img" aria-label="colour scale from '
        '{} to {}"><defs><linearGradient id="diverging">{}</linearGradient></defs>'
        '<rect width="260" height="14" rx="2" fill="url(#diverging)"/></svg>'
    ).format(signed(-limit, digits), signed(limit, digits), stops)


def label_scale(training: Sequence[float], value: float, low: float, high: float) -> Markup:
    """Training labels as a histogram (bins of 0.5 kcal/mol) with one value and its interval drawn in; kcal/mol.

    Without a finite interval only the value is drawn; labels that are not finite are left out. No picture ("") without
    labels or for a value that is not finite or far from all of them.
    """
    labels = [label for label in training if math.isfinite(label)]
    if not labels or not min(labels) - FARTHEST_KCAL_MOL < value < max(labels) + FARTHEST_KCAL_MOL:
        return Markup("")
    interval = (low, high) if math.isfinite(low) and math.isfinite(high) else None
    least, most_dg = min([*labels, value]), max([*labels, value])
    # a wide interval is drawn as far as this, so that the labels keep some room
    band = (max(low, least - WIDEST_KCAL_MOL), min(high, most_dg + WIDEST_KCAL_MOL)) if interval else None
    shown = [least, most_dg, *(band or ())]
    first, last = math.floor(min(shown)) - 1, math.ceil(max(shown)) + 1
    width, base, top = 720, 170, 46
    counts = [0] * round((last - first) / BIN_KCAL_MOL)
    for label in labels:
        counts[int((label - first) / BIN_KCAL_MOL)] += 1
    most = max([1, *counts])

    def x(dg: float) -> float:
        return round(10 + (dg - first) / (last - first) * (width - 20), 2)

    parts = []
    if band:
        row = Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}" opacity="0.16"/>')
        parts.append(row.format(x(band[0]), top - 10, round(x(band[1]) - x(band[0]), 2), base - top + 10, BAND))
    for i, count in enumerate(counts):
        if count:
            start, height = first + i * BIN_KCAL_MOL, round(count / most * (base - top - 8), 2)
            bar = Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}"><title>{}</title></rect>')
            words = f"{count} from {signed(start, 1)} to {signed(start + BIN_KCAL_MOL, 1)} kcal/mol"
            wide = round(x(start + BIN_KCAL_MOL) - x(start) - 1, 2)
            parts.append(bar.format(x(start) + 0.5, base - height, wide, height, BAR, words))
    parts += [_scale_axis(x, first, last, base, width), _scale_mark(x(value), value, interval, top, base, width)]
    return Markup(
        '<svg class="scale" viewBox="0 0 {} {}" role="img" aria-label="histogram of training labels with this '
        'prediction">{}</svg>'
    ).format(width, base + 44, Markup("").join(parts))


def _scale_axis(x: object, first: int, last: int, base: int, width: int) -> Markup:
    assert callable(x)
    step = max(1, math.ceil((last - first) / 16))
    ticks = Markup("").join(
        Markup('<text x="{}" y="{}" text-anchor="middle" fill="{}" font-size="13">{}</text>').format(
            x(dg), base + 18, MUTED, f"{dg}".replace("-", "−")
        )
        for dg in range(first + 1, last, step)
    )
    line = Markup('<line x1="10" x2="{}" y1="{}" y2="{}" stroke="{}"/>').format(width - 10, base, base, MUTED)
    name = Markup('<text x="{}" y="{}" text-anchor="middle" fill="{}" font-size="13">{}</text>').format(
        width / 2, base + 38, MUTED, "measured dG of the training labels (kcal/mol), tighter to the left"
    )
    return line + ticks + name


def _scale_mark(at: float, value: float, band: tuple[float, float] | None, top: int, base: int, width: int) -> Markup:
    words = signed(value, 2) + (f" [{signed(band[0], 2)}, {signed(band[1], 2)}]" if band else "")
    anchor = "start" if at < 120 else "end" if at > width - 120 else "middle"
    line = Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="{}" stroke-width="3"/>').format(
        at, at, top - 14, base, BAND
    )
    text = Markup('<text x="{}" y="{}" text-anchor="{}" fill="{}" font-size="15" font-weight="600">{}</text>')
    return line + text.format(at, top - 22, anchor, INK, words)


@dataclass(frozen=True)
class MapResidue:
    """One row or column of a contact map."""

    index: int  # what `data-residue` says
    name: str
    colour: str
    words: str  # on hover


def contact_map(
    rows: Sequence[MapResidue], columns: Sequence[MapResidue], contacts: Sequence[tuple[int, int, float]]
) -> Markup:
    """Protein residues (rows) against nucleotides (columns) as SVG; `contacts` are (index, index, angstrom).

    Each residue's name and colour stand at the margin and carry `data-residue`, each contact `data-protein` and
    `data-nucleotide`.
    """
    cell = 18 if max(len(rows), len(columns)) <= 60 else 12
    left = 40 + 7.5 * max(len(row.name) for row in rows)
    top = 40 + 7.5 * max(len(column.name) for column in columns)
    y_of = {row.index: round(top + cell * i, 1) for i, row in enumerate(rows)}
    x_of = {column.index: round(left + cell * i, 1) for i, column in enumerate(columns)}
    width, height = left + cell * len(columns) + 8, top + cell * len(rows) + 8
    distances = [distance for _, _, distance in contacts]
    nearest, spread = min(distances), max(max(distances) - min(distances), 0.5)
    parts = [_map_grid(left, top, cell, len(columns), len(rows))]
    names = {item.index: item.name for item in (*rows, *columns)}
    for protein, nucleotide, distance in contacts:
        parts.append(
            Markup(
                '<rect class="contact" data-protein="{}" data-nucleotide="{}" x="{}" y="{}" width="{}" height="{}" '
                'fill="{}"><title>{}</title></rect>'
            ).format(
                protein, nucleotide, x_of[nucleotide] + 1, y_of[protein] + 1, cell - 2, cell - 2,
                blend((NEAR, FAR), (distance - nearest) / spread),
                f"{names[protein]} – {names[nucleotide]}: {distance:.1f} Å",
            )
        )  # fmt: skip
    parts += [_map_name(row, cell, left - 20, y_of[row.index], upright=False) for row in rows]
    parts += [_map_name(column, cell, x_of[column.index], top - 20, upright=True) for column in columns]
    return Markup(
        '<svg id="map" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="contact map" '
        'data-left="{2}" data-top="{3}" data-cell="{4}">{5}<rect id="map-row" class="chosen" visibility="hidden"/>'
        '<rect id="map-column" class="chosen" visibility="hidden"/></svg>'
    ).format(round(width, 1), round(height, 1), round(left, 1), round(top, 1), cell, Markup("").join(parts))


def _map_grid(left: float, top: float, cell: int, n_columns: int, n_rows: int) -> Markup:
    return Markup(
        '<defs><pattern id="cells" x="{0}" y="{1}" width="{2}" height="{2}" patternUnits="userSpaceOnUse">'
        '<rect x="1" y="1" width="{3}" height="{3}" fill="#f1f4f6"/></pattern></defs>'
        '<rect x="{0}" y="{1}" width="{4}" height="{5}" fill="url(#cells)"/>'
    ).format(left, top, cell, cell - 2, cell * n_columns, cell * n_rows)


def _map_name(item: MapResidue, cell: int, x: float, y: float, *, upright: bool) -> Markup:
    """A name with its colour between it and the grid; `x`, `y` is the corner of the colour."""
    size = min(13, cell)
    box = Markup('<rect class="swatch" x="{}" y="{}" width="{}" height="{}" fill="{}"/>').format(
        x + (1 if upright else 4), y + (4 if upright else 1), cell - 2 if upright else 12,
        12 if upright else cell - 2, item.colour,
    )  # fmt: skip
    where = (
        Markup('x="0" y="0" transform="translate({} {}) rotate(-90)"').format(x + cell / 2 + size * 0.35, y)
        if upright
        else Markup('x="{}" y="{}" text-anchor="end"').format(x, y + cell / 2 + size * 0.35)
    )
    return Markup(
        '<g class="name" data-residue="{}" data-place="{}" tabindex="0" role="button"><title>{}</title>{}'
        '<text {} font-size="{}">{}</text></g>'
    ).format(item.index, y if not upright else x, item.words, box, where, size, item.name)
