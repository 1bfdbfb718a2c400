"""Pages as HTML, from Jinja templates that escape all values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ui.data.recommendation_list import Recommendations
from ui.page import cards
from ui.page.addresses import cover_address
from ui.page.licences import licence

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, /, **values: Any) -> str:
    """The template `name` with these values. Only the result of `cards` enters as markup; all other values are escaped."""
    return _templates.get_template(f"{name}.html").render(**values)


def _cards(*arguments: Any, **options: Any) -> Markup:
    return Markup(cards.cards(*arguments, **options))  # noqa: S704 - cards.py escapes


def _clock(seconds: float | None) -> str:
    """Minutes and seconds, as 3:05."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02}"


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


def _item_reasons(recommendations: Recommendations) -> dict[str, str]:
    """The reason of each item, by track id."""
    return {item.track_id: item.reason for item in recommendations.items}


def _counted(count: int, noun: str) -> str:
    """ "1 track", "1,200 tracks"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _hours(seconds: float) -> str:
    """ "42 min", "1 h 5 min"."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _icon(name: str) -> Markup:
    return Markup(cards.icon(name))  # noqa: S704 - one of our own


_templates.globals.update(
    cards=_cards, guess=cards.GUESS, card_data=cards.card_data, cover_address=cover_address, icon=_icon
)
_templates.filters.update(
    item_reasons=_item_reasons,
    licence=licence,
    list_source=lambda recommendations: recommendations.name.partition("-")[0],
    plain=_plain,
    clock=_clock,
    counted=_counted,
    hours=_hours,
    when=_when,
    path=lambda text: quote(str(text), safe=""),
    percent=lambda share: f"{100 * share:.0f} %",
)
