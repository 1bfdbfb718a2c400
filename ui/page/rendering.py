"""The pages besides the list, as HTML: templates that escape whatever is put into them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ui.page import cards
from ui.page.licences import licence

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, **values: Any) -> str:
    """The template filled in. Only what `cards` made is taken for markup; everything else shows as text."""
    return _templates.get_template(f"{name}.html").render(**values)


def _cards(*given: Any, **more: Any) -> Markup:
    return Markup(cards.cards(*given, **more))  # noqa: S704 - cards.py escapes


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _when(at: datetime | None) -> str:
    """How long ago, for people."""
    if at is None:
        return ""
    seconds = (datetime.now(UTC) - (at.replace(tzinfo=UTC) if at.tzinfo is None else at)).total_seconds()
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


_templates.globals.update(cards=_cards)
_templates.filters.update(
    licence=licence,
    plain=_plain,
    clock=_clock,
    when=_when,
    path=lambda text: quote(str(text), safe=""),
    percent=lambda share: f"{100 * share:.0f} %",
)
