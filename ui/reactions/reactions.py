"""A listener's reactions by kind, as the page lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TITLE_BY_WORD = {
    "like": "Likes",
    "dislike": "Dislikes",
    "more": "More like this",
    "less": "Less like this",
}
TITLE_BY_MUTED_KIND = {"artist": "Artists", "genre": "Genres", "tag": "Sounds"}


@dataclass(frozen=True)
class Reactions:
    """track_ids_by_word : ids by "like", "dislike", "more" and "less", the latest first
    muted_by_kind : names by "artist", "genre" and "tag", sorted
    wishes : "more" or "less" by "tag:NAME"
    """

    track_ids_by_word: Mapping[str, tuple[str, ...]]
    muted_by_kind: Mapping[str, tuple[str, ...]]
    wishes: Mapping[str, str]

    @property
    def muted_count(self) -> int:
        return sum(map(len, self.muted_by_kind.values()))


def reactions(opinions: Mapping[str, str], muted: tuple[str, ...], wishes: Mapping[str, str]) -> Reactions:
    """The reactions of which these are the parts.

    opinions : words by track id, separated by a blank, the latest first (`ui.data.history.History.opinions`)
    muted : "artist:NAME", "genre:NAME" and "tag:NAME"
    """
    words_by_id = {track_id: words.split() for track_id, words in opinions.items()}
    names_by_kind: dict[str, list[str]] = {kind: [] for kind in TITLE_BY_MUTED_KIND}
    for kind, _, name in (target.partition(":") for target in muted):
        names_by_kind.setdefault(kind, []).append(name)
    return Reactions(
        {word: tuple(each for each, words in words_by_id.items() if word in words) for word in TITLE_BY_WORD},
        {kind: tuple(sorted(names, key=str.casefold)) for kind, names in names_by_kind.items()},
        dict(sorted(wishes.items())),
    )
