"""Cards of tracks as HTML. All text from tags enters markup here or in a template, and is escaped in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from ui.data.library import Track
from ui.data.recommendation_list import Recommendations
from ui.page.addresses import cover_address
from ui.page.licences import licence
from ui.page.wording import Basis, basis_text, clock, title_parts

ICONS = {
    "play": '<path d="M8 5.1v13.8L19 12z"/>',
    "like": '<path d="M12 20.6 4.3 13a5 5 0 0 1 7.1-7.1l.6.6.6-.6a5 5 0 0 1 7.1 7.1z"/>',
    "move": '<path d="M5 8h14v2H5zm0 6h14v2H5z"/>',
    "menu": '<path d="M5 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4z"/>',
}


HEARD, ADDED_LATELY = "Played", "New"
"""The mark of a card whose track was listened to, and of one whose track was added lately."""
FEWEST_OF_A_REASON = 3
"""A reason of so many items stands once, over the list."""
TOGGLE = ' aria-pressed="false"'
OPENS_MENU = ' aria-haspopup="menu" aria-expanded="false"'
GUESS = "the computer's guess from their sound"
NOTHING_LEFT = "Every track is muted or disliked."
UNDO_SOME = (
    '<p class="hint">Unmute an artist, genre or word, or take back a dislike, to get recommendations again. '
    '<a class="pill" href="#/reactions/muted">Muted and disliked</a></p>'
)
PLAY_LIST = '<button type="button" class="pill primary" data-action="play-all">Play</button>'
SHOW_ALL = '<button type="button" class="pill show-all" data-action="show-all">Show all {count}</button>'
SHOWN_FIRST = 18
"""Tracks of "For you" that are in view at first, as in the style sheet of home."""
START_LINK = '<a class="start" href="#/start">tap five you like</a>'
"""A newcomer's way to a list of their own."""
NO_SIMILAR_TRACKS = "No similar tracks yet. They appear once this one has been compared with your library."


def icon(name: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">{ICONS[name]}</svg>'


def cards(
    tracks: Iterable[Track],
    source: str,
    model_version: str = "",
    reasons: Mapping[str, str] | None = None,
    layout: str = "",
    marks: Mapping[str, str] | None = None,
) -> str:
    """A list of cards.

    source : `source` of the events of these cards
    reasons : text under a card, by track id
    layout : "shelf" for one scrolling row, "single", "for-you", or "" for a grid
    marks : HEARD or ADDED_LATELY, by track id
    """
    reasons, marks = reasons or {}, marks or {}
    items = "".join(_card(track, reasons.get(track.track_id, ""), marks.get(track.track_id, "")) for track in tracks)
    return (
        f'<ol class="cards {escape(layout)}" role="list" data-source="{escape(source)}" '
        f'data-model-version="{escape(model_version)}">{items}</ol>'
    )


def for_you(
    recommended: Recommendations | None,
    track_by_id: Mapping[str, Track],
    library_tracks: Iterable[Track] = (),
    has_listener: bool = True,
    basis: Basis | None = None,
    marks: Mapping[str, str] | None = None,
) -> str:
    """The section "For you": the listener's list, else the one for new listeners, else some tracks of the library.

    track_by_id : the tracks of the list and of its reasons
    library_tracks : shown where there is no list
    has_listener : whether the session has a listener
    basis : what the list is made from; None where it is unknown
    marks : as in `cards`
    """
    if recommended is None:
        tracks = list(library_tracks)
        if not tracks:
            return _head("For you", "No tracks yet. They appear here once the library is published.")
        return _head("For you", "No recommendations yet. Some tracks from the library:") + cards(tracks, "for-you")
    if recommended.is_personal and not recommended.items:
        return _head("For you", NOTHING_LEFT) + UNDO_SOME
    items = [item for item in recommended.items if item.track_id in track_by_id]
    reason_by_id = {item.track_id: item.reason or _because(item.because, track_by_id) for item in items}
    first_id = items[0].track_id if items else ""
    reason_by_id |= {item.track_id: "" for item in items if item.because and item.track_id != first_id}
    shown_reasons = unrepeated(reason_by_id) | {first_id: reason_by_id.get(first_id, "")}
    tracks = [track_by_id[item.track_id] for item in items]
    list_cards = cards(tracks, "for-you", recommended.model_version, shown_reasons, "for-you", marks)
    show_all = SHOW_ALL.format(count=len(tracks)) if len(tracks) > SHOWN_FIRST else ""
    head = _head("For you", _about(recommended, has_listener, basis), PLAY_LIST)
    if not recommended.is_personal:
        head = head.replace("</p>", f" {START_LINK}</p>", 1)
    return head + list_cards + show_all


def unrepeated(reason_by_id: Mapping[str, str]) -> dict[str, str]:
    """The reasons that few items have; what many have says nothing about one of them."""
    count_by_reason = Counter(reason_by_id.values())
    return {
        track_id: reason for track_id, reason in reason_by_id.items() if count_by_reason[reason] < FEWEST_OF_A_REASON
    }


def similar(track: Track, tracks: list[Track]) -> str:
    """The section of tracks similar to one."""
    close = '<button type="button" class="quiet" data-action="close-similar">Close</button>'
    title = f"More like {track.title or 'this'}"
    if not tracks:
        return _head(title, NO_SIMILAR_TRACKS, close)
    return _head(title, track.artist, close) + cards(tracks, "similar")


def _head(title: str, note: str, more: str = "") -> str:
    return f'<header class="section-head"><h2>{escape(title)}</h2><p>{escape(note)}</p>{more}</header>'


def _about(recommended: Recommendations, has_listener: bool, basis: Basis | None) -> str:
    """What the list is based on."""
    if not (has_listener and recommended.is_personal):
        return "A first mix of your library. Play or like something to get your own, or"
    return basis_text(basis)


def _because(track_ids: Iterable[str], track_by_id: Mapping[str, Track]) -> str:
    titles = [track_by_id[track_id].title for track_id in track_ids if track_id in track_by_id]
    return f"Because you listened to {' and '.join([title for title in titles if title][:2])}" if any(titles) else ""


def card_data(track: Track) -> dict[str, str]:
    """What scripts read of a track, by the name of the attribute behind `data-`."""
    track_licence = licence(track.licence)
    return {
        "track-id": track.track_id,
        "title": track.title or "Untitled",
        "artist": track.artist or "Unknown artist",
        "album": track.album,
        "album-id": track.album_id,
        "licence": track_licence.name,
        "licence-url": track_licence.url,
        "muted-artist": track.artist,
        "muted-genre": track.genre,
        "duration-ms": "" if track.duration_s is None else str(round(track.duration_s * 1000)),
    }


def _card(track: Track, reason: str, mark: str) -> str:
    title, artist = track.title or "Untitled", track.artist or "Unknown artist"
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in card_data(track).items())
    name = escape(f"{title} by {artist}")
    track_page, artist_page = (
        escape(f"#/{kind}/{quote(key, safe='')}") for kind, key in (("track", track.track_id), ("artist", artist))
    )
    artist_name = f'<a href="{artist_page}">{escape(artist)}</a>' if track.artist else f"<span>{escape(artist)}</span>"
    length = "" if track.duration_s is None else f'<span class="length">{clock(track.duration_s)}</span>'
    shown_mark = f'<span class="mark{" new" if mark == ADDED_LATELY else ""}">{escape(mark)}</span>' if mark else ""
    return (
        f'<li class="card" {attributes}>'
        f'<button type="button" class="cover" data-action="play" aria-label="Play {name}">'
        f'<img src="{escape(cover_address(track, 320))}" alt="" width="240" height="240" loading="lazy">'
        f'<span class="badge">{icon("play")}</span></button>'
        f'<div class="words"><h3 class="title" title="{escape(title)}"><a href="{track_page}">{title_markup(title)}</a></h3>'
        f'<p class="artist" title="{escape(artist)}">{artist_name}{length}{shown_mark}</p>'
        f'<p class="reason">{escape(reason)}</p></div>'
        f'<div class="card-actions">'
        f"{_button('like', f'Like {name}', 'Like', TOGGLE)}"
        f"{_button('menu', f'More actions for {name}', 'More', OPENS_MENU)}</div></li>"
    )


def title_markup(title: str) -> str:
    """A title in two parts, of which the style sheet shortens the first alone: of long titles the end tells them apart."""
    head, tail = title_parts(title)
    return f'<span class="head">{escape(head)}</span><span class="tail">{escape(tail)}</span>' if tail else escape(head)


def _button(action: str, label: str, title: str, more: str = "") -> str:
    """A button with an icon. label : must be escaped already"""
    return f'<button type="button" data-action="{action}" aria-label="{label}" title="{title}"{more}>{icon(action)}</button>'
