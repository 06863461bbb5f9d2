"""Tables as a reader sees them, before they become Markdown or HTML: the same cells for both."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller text beside it (an interval), where it leads to and what it sorts by."""

    text: str
    small: str = ""
    sort: float | None = None  # None: by the text, or last in a column of numbers
    link: str = ""
    hint: str = ""  # shown when the pointer rests on the link
    tag: str = ""  # a status, shown as a coloured word
    under: str = ""  # a remark below the text in the HTML page

    @property
    def key(self) -> str:
        """What the page's script sorts a column of numbers by."""
        return "" if self.sort is None or math.isnan(self.sort) else repr(float(self.sort))


@dataclass(frozen=True)
class Column:
    """A column's heading; `number`: right-aligned; `page`: shown in the HTML page too, not in Markdown alone."""

    name: str
    number: bool = False
    page: bool = True


@dataclass(frozen=True)
class Grid:
    """One table with its caption and the remarks below it."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    """A titled part of a page; `folded`: closed at first in the HTML page."""

    title: str
    texts: Sequence[str] = ()
    grids: Sequence[Grid] = field(default_factory=tuple)
    folded: bool = False


def section_as_markdown(section: Section) -> list[str]:
    """The lines of a section, a heading of the second level above it."""
    lines = [f"## {escape(section.title)}", ""]
    for text in section.texts:
        lines += [escape(text), ""]
    for grid in section.grids:
        lines += grid_as_markdown(grid)
    return lines


def grid_as_markdown(grid: Grid) -> list[str]:
    """The lines of one table, its caption as a heading of the third level."""
    lines = [f"### {escape(grid.caption)}", ""] if grid.caption else []
    lines += ["| " + " | ".join(escape(column.name) for column in grid.columns) + " |"]
    lines += ["|" + "|".join("---:" if column.number else "---" for column in grid.columns) + "|"]
    lines += ["| " + " | ".join(_markdown_cell(cell) for cell in row) + " |" for row in grid.rows]
    lines += ["", *(f"- {escape(note)}" for note in grid.notes)]
    return [*lines, ""] if grid.notes else lines


def _markdown_cell(cell: Cell) -> str:
    """The text of a cell; a number is no link of its own, its row has one."""
    text = " ".join(escape(part) for part in (cell.tag + cell.text, cell.small) if part)
    return f"[{text}]({cell.link})" if cell.link and cell.sort is None and not cell.small else text


def escape(text: str) -> str:
    """Text that Markdown shows as it stands: no tags, no column ends, no links, on one line."""
    plain = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|`]|\](?=\())", r"\\\1", plain)
