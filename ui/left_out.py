"""Tracks that radio, song path and named lists leave out: what the listener has disliked, muted or just heard; similar tracks are
shown without the first two."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from batch.library.labels import spelling_key
from streaming.events import TAG_KIND
from ui.data.library import Track
from ui.dependencies import Services
from ui.search.words import ids_with_word

STORED_SIMILAR_TRACKS = 50
"""All that a track's document has."""


class LeftOut(NamedTuple):
    """Tracks to pass over. recordings : of the disliked and heard tracks, see `Track.recording`"""

    track_ids: frozenset[str]
    recordings: frozenset[str]

    def has(self, track: Track) -> bool:
        return track.track_id in self.track_ids or track.recording in self.recordings


def tracks_left_out(
    services: Services, user_id: str | None, heard: bool = True, heard_since: datetime | None = None
) -> LeftOut:
    """The tracks that the listener has disliked, muted or just heard; none without a listener.

    heard : whether what was heard is left out
    heard_since : then what was heard after this time; None: what was just heard
    """
    if user_id is None:
        return LeftOut(frozenset(), frozenset())
    library, listener_data = services.library, services.listener_data
    track_ids = listener_data.disliked(user_id)
    if heard and heard_since is None:
        track_ids |= listener_data.just_heard(user_id)
    elif heard and heard_since is not None:
        track_ids |= listener_data.heard_since(user_id, heard_since)
    recordings = {track.recording for track in library.tracks_of(track_ids).values()} - {""}
    muted = {
        (kind, spelling_key(name))
        for kind, _, name in (target.partition(":") for target in listener_data.taste(user_id).muted)
    }
    if not muted:
        return LeftOut(frozenset(track_ids), frozenset(recordings))
    index = library.search_index()
    for kind, name in muted:
        if kind == TAG_KIND:
            track_ids.update(ids_with_word(index, name))
    for kind, rows_by_name in (("artist", index.rows_by_artist), ("genre", index.rows_by_genre)):
        for name, rows in rows_by_name.items():
            if (kind, spelling_key(name)) in muted:
                track_ids.update(index.ids[row] for row in rows)
    return LeftOut(frozenset(track_ids), frozenset(recordings))


def similar_scores(services: Services, track_id: str) -> Sequence[tuple[str, float]]:
    """(track id, similarity) of the tracks similar to one, as they were published with it; of one that was added after the model
    was trained, as the index has them."""
    return services.library.details(track_id).similar or services.similarity.similar(track_id, STORED_SIMILAR_TRACKS)


def similar_tracks(services: Services, user_id: str | None, track_id: str, most: int = 24) -> list[Track]:
    """The tracks most similar to a track, most similar first, without what the listener has disliked or muted."""
    return tracks_of_scores(services, user_id, similar_scores(services, track_id), most)


def tracks_of_scores(
    services: Services, user_id: str | None, scores: Sequence[tuple[str, float]], most: int = 24
) -> list[Track]:
    """`similar_tracks` of scores that were read before."""
    left_out = tracks_left_out(services, user_id, heard=False)
    # Scores are in the order of lists, which space the tracks of one artist.
    similar = services.library.in_order(similar_id for similar_id, _ in sorted(scores, key=lambda score: -score[1]))
    return [track for track in similar if not left_out.has(track)][:most]
