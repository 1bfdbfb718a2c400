"""Tracks as HTML: the one place where what tags say becomes markup, so the one place that escapes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from ui.data.library import Recommendations, Track
from ui.page.licences import licence

ICONS = {
    "play": '<path d="M8 5.1v13.8L19 12z"/>',
    "like": '<path d="M12 20.6 4.3 13a5 5 0 0 1 7.1-7.1l.6.6.6-.6a5 5 0 0 1 7.1 7.1z"/>',
    "dislike": '<path d="M17 3h3v11h-3zM4.5 14.5A1.5 1.5 0 0 1 3 13l2-8.2A2.3 2.3 0 0 1 7.2 3H15v11l-4 7'
    'a2 2 0 0 1-2-2v-4.5z"/>',
    "similar": '<path d="M3 8.500q3-4 6 0t6 0 6 0M3 15.500q3-4 6 0t6 0 6 0" fill="none" stroke="currentColor" '
    'stroke-width="2" stroke-linecap="round"/>',
    "why": '<path d="M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 18a8 8 0 1 1 0-16 8 8 0 0 1 0 16zm-1-4h2v2h-2zm1-10a4 4 0 0 0-4 4'
    'h2a2 2 0 1 1 3 1.7c-1.2.7-2 1.4-2 3.3h2c0-1 .4-1.3 1.300-1.900A4 4 0 0 0 12 6z"/>',
    "menu": '<path d="M5 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm7 0a2 2 0 1 1 0 4 2 2 0 0 1 0-4z"/>',
}


PRESSABLE = ' aria-pressed="false"'
MENU = ' aria-haspopup="menu" aria-expanded="false"'


def icon(name: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">{ICONS[name]}</svg>'


def cards(
    tracks: Iterable[Track],
    source: str,
    model_version: str = "",
    reasons: Mapping[str, str] | None = None,
    layout: str = "",
    has_why: bool = False,
) -> str:
    """A list of cards. source : where a play from here is said to come from;  reasons : why, by track id

    layout : "shelf" for one row to scroll, "" for a grid;  has_why : whether each can be asked why it is there
    """
    shown = "".join(_card(track, (reasons or {}).get(track.track_id, ""), has_why) for track in tracks)
    return (
        f'<ol class="cards {escape(layout)}" role="list" data-source="{escape(source)}" '
        f'data-model-version="{escape(model_version)}">{shown}</ol>'
    )


def for_you(
    recommended: Recommendations | None, tracks: Mapping[str, Track], fresh: Iterable[Track] = (), is_known: bool = True
) -> str:
    """The section "For you": a listener's list, or everyone's, or without any some tracks to begin with.

    is_known : whether somebody has said who is listening
    """
    if recommended is None:
        start = list(fresh)
        if not start:
            return _head("For you", "No tracks are published yet. They appear here by themselves.")
        return _head("For you", "No recommendations are published yet. Some of the library:") + cards(start, "for-you")
    known = [item for item in recommended.items if item.track_id in tracks]
    reasons = {item.track_id: item.reason or _because(item.because, tracks) for item in known}
    listed = cards(
        [tracks[item.track_id] for item in known],
        "for-you",
        recommended.model_version,
        reasons,
        has_why=recommended.is_personal and is_known,
    )
    return _head("For you", _about(recommended, is_known)) + listed


def results(text: str, tracks: list[Track], count: int = 0) -> str:
    """What search found. count : how many there are, where these are only the first"""
    if not text.strip():
        return ""
    if not tracks:
        return _head(
            "Search",
            f"Nothing is found for “{text.strip()[:80]}”. Every word is looked for at the beginning of a word.",
        )
    return _head("Search", how_many(len(tracks), count)) + cards(tracks, "search")


def how_many(shown: int, count: int = 0) -> str:
    """A number of tracks; of more than are shown, that these are the first."""
    return (
        f"The first {shown:,} of {count:,} tracks"
        if count > shown
        else f"{shown:,} {'track' if shown == 1 else 'tracks'}"
    )


def similar(track: Track | None, tracks: list[Track]) -> str:
    """What sounds like a track."""
    if track is None:
        return ""
    close = '<button type="button" class="quiet" data-action="close-similar">Close</button>'
    if not tracks:
        return _head(f"More like {track.title or 'this'}", "Nothing yet: neighbours come with the next model.", close)
    return _head(f"More like {track.title or 'this'}", track.artist, close) + cards(tracks, "similar")


def away(title: str, what: str) -> str:
    """A section that cannot be shown now, and why."""
    return _head(title, what)


def _head(title: str, note: str, more: str = "") -> str:
    return f'<header class="section-head"><h2>{escape(title)}</h2><p>{escape(note)}</p>{more}</header>'


def _about(recommended: Recommendations, is_known: bool) -> str:
    if not is_known:
        return "A start for everyone. Choose who is listening, and it becomes a list of your own."
    if not recommended.is_personal:
        return "A start for everyone. Play, like or skip something and it becomes yours."
    count = recommended.events_applied
    if not isinstance(count, int) or count < 1:
        return "Follows what you play, skip and like."
    return f"Shaped by {count} {'thing' if count == 1 else 'things'} you did. It moves with every skip and like."


def _because(heard: Iterable[str], tracks: Mapping[str, Track]) -> str:
    titles = [tracks[track_id].title for track_id in heard if track_id in tracks and tracks[track_id].title]
    return f"Because of {' and '.join(titles[:2])}" if titles else ""


def _card(track: Track, reason: str, has_why: bool) -> str:
    title, artist = track.title or "Untitled", track.artist or "Unknown artist"
    stated = licence(track.licence)
    data = {
        "track-id": track.track_id,
        "title": title,
        "artist": artist,
        "licence": stated.name,
        "licence-url": stated.url,
        "muted-artist": track.artist,
        "muted-genre": track.genre,
        "duration-ms": "" if track.duration_s is None else str(round(track.duration_s * 1000)),
    }
    attributes = " ".join(f'data-{name}="{escape(value)}"' for name, value in data.items())
    what = escape(f"{title} by {artist}")
    page, band = (
        escape(f"#/{kind}/{quote(name, safe='')}") for kind, name in (("track", track.track_id), ("artist", artist))
    )
    why = _button("why", f"Why {what} is here", "Why this") if has_why else ""
    shown_artist = f'<a href="{band}">{escape(artist)}</a>' if track.artist else escape(artist)
    return (
        f'<li class="card" {attributes}>'
        f'<button type="button" class="cover" data-action="play" aria-label="Play {what}">'
        f'<img src="/cover/{escape(quote(track.track_id, safe=""))}" alt="" width="240" height="240" loading="lazy">'
        f'<span class="badge">{icon("play")}</span></button>'
        f'<div class="words"><h3 class="title" title="{escape(title)}"><a href="{page}">{escape(title)}</a></h3>'
        f'<p class="artist" title="{escape(artist)}">{shown_artist}</p>{_kind(track)}'
        f'<p class="reason">{escape(reason)}</p></div>'
        f'<div class="card-actions">'
        f"{_button('like', f'Like {what}', 'Like', PRESSABLE)}"
        f"{_button('dislike', f'Dislike {what}', 'Not for me', PRESSABLE)}"
        f"{_button('similar', f'What sounds like {what}', 'What sounds like it')}{why}"
        f"{_button('menu', f'More to do with {what}', 'More', MENU)}</div></li>"
    )


def _button(does: str, label: str, title: str, more: str = "") -> str:
    """label : escaped already, since it names a track"""
    return f'<button type="button" data-action="{does}" aria-label="{label}" title="{title}"{more}>{icon(does)}</button>'


def _kind(track: Track) -> str:
    guessed = ' title="Heard by the genre network, not read from the tags"' if track.genre_predicted else ""
    mark = "≈ " if track.genre_predicted else ""
    genre = f"<span{guessed}>{mark}{escape(track.genre)}</span>" if track.genre else ""
    composer = f'<small title="Composer">{escape(track.composer)}</small>' if track.composer else ""
    return f'<p class="genre">{genre}{composer}</p>' if genre or composer else ""
