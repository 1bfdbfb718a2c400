"""What a query finds, in groups: the best hit, artists, albums, tracks, a listener's playlists, tracks that sound so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ui.search.entries import Entry, NamedEntries, named_entries, text_tier
from ui.search.index import SearchIndex
from ui.search.ranked import Ranked
from ui.search.term_index import TypedTerm
from ui.search.terms import MAX_QUERY_LENGTH, folded, query_terms
from ui.search.vocabulary import vocabulary
from ui.search.words import WordQuery, ids_with, word_query

Group = Literal["artists", "albums", "tracks", "playlists", "sound"]
"""Names of the groups, as they stand in addresses."""


@dataclass(frozen=True)
class Results:
    """What a query finds in an index.

    query : as it was typed
    corrected : the terms that were searched for in its place; "" where it was found as it was typed
    playlists : those that are searched
    words : the words for the sound that the query names;  sound_ids : the tracks of which they are said, best first
    """

    index: SearchIndex
    query: str
    corrected: str
    artists: Ranked
    albums: Ranked
    tracks: Ranked
    playlists: NamedEntries
    playlist_rows: Ranked
    words: WordQuery
    sound_ids: list[str]

    def count(self, group: Group) -> int:
        """Number of matches in a group."""
        sizes = {"artists": self.artists, "albums": self.albums, "tracks": self.tracks, "playlists": self.playlist_rows}
        return len(sizes[group]) if group in sizes else len(self.sound_ids)

    def entries(self, group: Group, offset: int, limit: int) -> list[Entry]:
        """Artists, albums or playlists from a place on, best first."""
        named, ranked = {
            "artists": (self.index.artists, self.artists),
            "albums": (self.index.albums, self.albums),
            "playlists": (self.playlists, self.playlist_rows),
        }[group]
        return [named.entries[row] for row in ranked.page(offset, limit)]

    def track_ids(self, group: Group, offset: int, limit: int) -> list[str]:
        """Ids of tracks, or of those that sound so, from a place on, best first."""
        if group == "sound":
            return self.sound_ids[offset : offset + limit]
        return [self.index.ids[row] for row in self.tracks.page(offset, limit)]

    @property
    def best_hit(self) -> tuple[Group, str] | None:
        """(group, id) of the artist, album or track whose name is nearest to the query, an artist before an album before a track;
        None where there is none, or the query is of the sound alone."""
        if self.words.is_of_sound_alone and self.sound_ids:
            return None
        text = self.corrected or folded(self.query[:MAX_QUERY_LENGTH])
        hits: list[tuple[int, int, Group, str]] = []
        for row in self.artists.page(0, 1):
            hits.append((self.index.artists.tier(row, text), 0, "artists", self.index.artists.entries[row].entry_id))
        for row in self.albums.page(0, 1):
            hits.append((self.index.albums.tier(row, text), 1, "albums", self.index.albums.entries[row].entry_id))
        for row in self.tracks.page(0, 1):
            hits.append((text_tier(self.index.titles[row], text), 2, "tracks", self.index.ids[row]))
        if not hits:
            return None
        _, _, group, identifier = min(hits)
        return group, identifier


def search(index: SearchIndex, query: str, playlists: Iterable[Entry] = ()) -> Results:
    """What is found of a query; where nothing is, of words that are a typing error away.

    playlists : the listener's own
    """
    query = query[:MAX_QUERY_LENGTH]
    typed, text = [TypedTerm(term) for term in query_terms(query)], folded(query)
    words = word_query(query)
    sound_ids = ids_with(index, words)
    named_playlists = named_entries(playlists)
    playlist_rows, corrected = named_playlists.search(typed, text), ""
    matches = _matches(index, typed, text)
    if typed and not sound_ids and not len(playlist_rows) and not any(map(len, matches)):
        own_words = vocabulary(named_playlists.terms)
        playlist_rows = named_playlists.search([own_words.typed(term) for term, _ in typed], text)
        close = [index.vocabulary.typed(term) for term, _ in typed]
        text = " ".join(index.vocabulary.corrected(term) for term in close)
        matches = _matches(index, close, text)
        corrected = text if any(map(len, matches)) else ""
    artists, albums, tracks = matches
    return Results(index, query, corrected, artists, albums, tracks, named_playlists, playlist_rows, words, sound_ids)


def _matches(index: SearchIndex, typed: list[TypedTerm], text: str) -> tuple[Ranked, Ranked, Ranked]:
    """(artists, albums, tracks)."""
    return index.artists.search(typed, text), index.albums.search(typed, text), index.ranked(typed, text)
