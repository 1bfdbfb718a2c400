"""Pages as HTML, from Jinja templates that escape all values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ui.page import cards
from ui.page.addresses import cover_address
from ui.page.licences import licence
from ui.page.wording import clock, counted

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, /, **values: Any) -> str:
    """The template `name` with these values. What `cards` makes enters as markup; all other values are escaped."""
    return _templates.get_template(f"{name}.html").render(**values)


def _cards(*arguments: Any, **options: Any) -> Markup:
    return Markup(cards.cards(*arguments, **options))  # noqa: S704 - cards.py escapes


def _when(time: datetime | None) -> str:
    """How long ago a time is, as "2 hours ago"."""
    if time is None:
        return ""
    seconds = (datetime.now(UTC) - (time.replace(tzinfo=UTC) if time.tzinfo is None else time)).total_seconds()
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "just now"


def _plain(value: Any) -> Any:
    """Times without fractions of a second and zone; other values as they are."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


def _hours(seconds: float) -> str:
    """ "42 min", "1 h 5 min"."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _icon(name: str) -> Markup:
    return Markup(cards.icon(name))  # noqa: S704 - one of our own


def _title(title: str) -> Markup:
    return Markup(cards.title_markup(title))  # noqa: S704 - cards.py escapes


_templates.globals.update(
    cards=_cards,
    guess=cards.GUESS,
    card_data=cards.card_data,
    cover_address=cover_address,
    icon=_icon,
    title_markup=_title,
)
_templates.filters.update(
    licence=licence,
    list_source=lambda recommendations: recommendations.name.partition("-")[0],
    plain=_plain,
    clock=clock,
    counted=counted,
    hours=_hours,
    when=_when,
    path=lambda text: quote(str(text), safe=""),
    percent=lambda share: f"{100 * share:.0f} %",
)
