"""HTML pages from templates; every value is escaped, because names and texts come from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

STYLE = Path(__file__).with_name("report.css")


def render(template: Path, **values: Any) -> str:
    """The page of a Jinja template; unknown names are errors, `style` is the shared style sheet."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # the style sheet is our own file, the one text that is not escaped
    return environment.from_string(template.read_text()).render(style=Markup(STYLE.read_text()), **values)
