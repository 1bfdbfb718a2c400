"""The tracks on home's shelves: the listener's named lists, moods and genres."""

from __future__ import annotations

import random
import time
from collections import Counter

from batch.words.vocabulary import WORD_BY_NAME, Word
from ui.data.history import HistoryEntry
from ui.data.library import Library, Track
from ui.data.recommendation_list import Recommendations
from ui.dependencies import Services
from ui.left_out import tracks_left_out
from ui.search.words import ids_with_word, mood_sizes, words_heard

SHELF_TRACKS = 14
HOME_GENRES = 4
HOME_MOODS = 4
FEWEST_MOOD_TRACKS = 6
"""A mood of fewer tracks has no shelf."""
S_PER_DAY = 86_400


def not_skipped_early(history: list[HistoryEntry]) -> list[HistoryEntry]:
    """The history without tracks that were skipped in their first half."""
    return [entry for entry in history if entry.action != "skip" or _is_half_heard(entry)]


def _is_half_heard(entry: HistoryEntry) -> bool:
    return bool(entry.duration_ms) and (entry.position_ms or 0) >= (entry.duration_ms or 0) / 2


def genre_shelves(library: Library, history: list[HistoryEntry]) -> list[tuple[str, int, list[Track]]]:
    """(genre, number of its tracks, some of them) for a few genres: most heard first, then largest. The tracks change daily."""
    index = library.search_index()
    size_by_genre = dict(index.genre_sizes())
    rows = (index.row_by_id.get(entry.track_id) for entry in history)
    codes = (index.genre_codes[row] for row in rows if row is not None)
    plays_by_genre = Counter(index.genre_names[code] for code in codes if code >= 0)
    genres = sorted(size_by_genre, key=lambda genre: (-plays_by_genre[genre], -size_by_genre[genre], genre))
    day = int(time.time() // S_PER_DAY)
    shelves = []
    for genre in genres[:HOME_GENRES]:
        track_ids = index.by_genre(genre)
        start = (day * SHELF_TRACKS) % len(track_ids)
        shown = (track_ids + track_ids)[start : start + min(SHELF_TRACKS, len(track_ids))]
        shelves.append((genre, size_by_genre[genre], library.in_order(shown)))
    return shelves


def mood_shelves(
    services: Services, history: list[HistoryEntry], user_id: str | None
) -> list[tuple[Word, int, list[Track]]]:
    """(mood, number of its tracks, some of them) for a few moods: most heard first. The tracks change daily; none is of
    `tracks_left_out`."""
    index = services.library.search_index()
    size_by_mood = mood_sizes(index, FEWEST_MOOD_TRACKS)
    if not size_by_mood:
        return []
    left_out = tracks_left_out(services, user_id)
    heard = words_heard(index, [entry.track_id for entry in history])
    day = int(time.time() // S_PER_DAY)
    shelves: list[tuple[Word, int, list[Track]]] = []
    for mood in sorted(size_by_mood, key=lambda mood: -heard[mood]):
        highest = [track_id for track_id in ids_with_word(index, mood) if track_id not in left_out.track_ids]
        shown = random.Random(f"{day} {mood}").sample(highest, min(len(highest), 2 * SHELF_TRACKS))  # noqa: S311 - no secret
        tracks = [track for track in services.library.in_order(shown) if not left_out.has(track)][:SHELF_TRACKS]
        if len(tracks) >= FEWEST_MOOD_TRACKS:
            shelves.append((WORD_BY_NAME[mood], size_by_mood[mood], tracks))
        if len(shelves) == HOME_MOODS:
            break
    return shelves


def named_lists(services: Services, user_id: str) -> list[tuple[Recommendations, list[Track]]]:
    """The listener's mixes, "Discover" and "Rediscover" with their tracks, without what was disliked, muted or heard since they
    were made."""
    lists = services.library.named_lists(user_id)
    if not lists:
        return []
    left_out = tracks_left_out(services, user_id, heard_since=lists[0].generated_at)
    track_by_id = services.library.tracks_of({item.track_id for each in lists for item in each.items})
    shelves = []
    for each in lists:
        tracks = [track_by_id[item.track_id] for item in each.items if item.track_id in track_by_id]
        if remaining := [track for track in tracks if not left_out.has(track)]:
            shelves.append((each, remaining))
    return shelves
