"""Names of mixes and interests by what the tracks behind them have in common: "Like Brahms: Intermezzo", "Solo piano"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ui.data.library import Track
from ui.data.recommendation_list import Recommendations

COMMON_SHARE = 0.5
"""A name is common to tracks if more of them have it."""
DISCOVER = "discover"
DISCOVER_TITLE = "Something different"
NO_PERSONS = frozenset({"traditional", "trad", "anonymous", "unknown", "various", "various artists"})
GENERATIONS = frozenset({"jr", "sr", "ii", "iii", "iv"})


def titled(
    lists: Iterable[tuple[Recommendations, list[Track]]], track_by_id: Mapping[str, Track]
) -> list[tuple[Recommendations, str, list[Track]]]:
    """(list, its title on home, tracks): mixes by what the listener's tracks behind them have in common, where that tells them
    apart.

    track_by_id : the tracks that items name as their reason
    """
    shelves: list[tuple[Recommendations, str, list[Track]]] = []
    for named, tracks in lists:
        behind = dict.fromkeys(track_id for item in named.items for track_id in item.because)
        title = shelf_title(named, [track_by_id[track_id] for track_id in behind if track_id in track_by_id])
        is_taken = title in (other for _, other, _ in shelves)
        shelves.append((named, named.title if is_taken else title, tracks))
    return shelves


def tracks_behind(lists: Iterable[tuple[Recommendations, list[Track]]]) -> set[str]:
    """Ids of the tracks that the items of lists name as their reason."""
    return {track_id for named, _ in lists for item in named.items for track_id in item.because}


def shelf_title(named: Recommendations, tracks: Sequence[Track]) -> str:
    """A list's title on home.  tracks : the listener's tracks behind it"""
    if named.name == DISCOVER:
        return DISCOVER_TITLE
    common = common_name(tracks) if named.name.startswith("mix-") else ""
    return f"Like {common}" if common else named.title


def named_interests(interests: Sequence[tuple[float, list[Track]]]) -> list[tuple[str, float, list[Track]]]:
    """(name, share of all interests, tracks) of each interest.  interests : (weight, tracks) of each"""
    whole = sum(weight for weight, _ in interests) or 1.0
    return [
        (common_name(tracks) or f"Interest {number}", weight / whole, tracks)
        for number, (weight, tracks) in enumerate(interests, start=1)
    ]


def common_name(tracks: Sequence[Track]) -> str:
    """What most of the tracks have in common: composer and genre, artist, or genre; "" where there is nothing."""
    composer = _common(track.composer for track in tracks)
    genre = _common(track.genre for track in tracks)
    if composer and composer.casefold() not in NO_PERSONS:
        return ": ".join(name for name in (surname(composer), genre) if name)
    return _common(track.artist for track in tracks) or genre


def surname(name: str) -> str:
    """ "Brahms" for "Johannes Brahms" and for "Brahms, Johannes"; a name of one word as it is."""
    first, comma, _ = name.partition(",")
    words = first.split()
    if comma or not words:
        return first.strip()
    return name if words[-1].strip(".").casefold() in GENERATIONS else words[-1]


def _common(names: Iterable[str]) -> str:
    """The name that more than COMMON_SHARE of the tracks have; "" where there is none."""
    counts = Counter(names)
    name, count = max(counts.items(), key=lambda item: (bool(item[0]), item[1]), default=("", 0))
    return name if count > COMMON_SHARE * counts.total() else ""
