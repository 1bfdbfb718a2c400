"""Tracks from all over the library, of which a newcomer taps some. The list for new listeners is made for that: it goes round the
genres, most typical tracks first (`batch.model.cold_start`)."""

from __future__ import annotations

from ui.data.library import Library, Track

SCREENS = 3
TRACKS_ON_SCREEN = 10
WANTED_LIKES = 5


def starting_tracks(library: Library, screen: int) -> list[Track]:
    """The tracks of a screen, 1 to SCREENS; none beyond. Raises LibraryUnavailable."""
    first = (screen - 1) * TRACKS_ON_SCREEN
    recommendations = library.recommendations(None)
    items = recommendations.items if recommendations else ()
    if items:
        return library.in_order(item.track_id for item in items[first : first + TRACKS_ON_SCREEN])
    return library.page(limit=SCREENS * TRACKS_ON_SCREEN)[first : first + TRACKS_ON_SCREEN]
