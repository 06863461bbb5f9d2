"""HTML pages from templates; every value is escaped, because names and texts come from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

STYLE, PARTS = (Path(__file__).with_name(name) for name in ("report.css", "report_parts.html.j2"))


def render(template: Path, **values: Any) -> str:
    """The page of a Jinja template; unknown names are errors, `style` is the shared style sheet.

    A template may import what stands in report_parts.html.j2.
    """
    parts = DictLoader({PARTS.name: PARTS.read_text(encoding="utf-8")})
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=parts
    )
    # the style sheet is our own file, the one text that is not escaped
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        style=Markup(STYLE.read_text(encoding="utf-8")), **values
    )
