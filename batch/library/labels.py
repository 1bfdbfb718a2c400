"""What tracks say of themselves, as numbers: who they are by, what record and what genre they are of. Numbers only.

`said` decides for all of the offline path what a tag says: names are compared without regard to case and blanks, and one that
only says that nobody knows is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
"""One number a track, equal where the label is the same; -1 where there is none. [shape=(n,)]"""

_UNSAID = frozenset(
    [
        "",
        "unknown",
        "<unknown>",
        "unknown artist",
        "unknown album",
        "unknown genre",
        "none",
        "(none)",
        "???",
        "various",
        "various artists",
        "n/a",
    ]
)


@dataclass(frozen=True)
class Tags:
    """What tracks say of themselves, as numbers.

    artist, genre : Labels;  album : Labels of the artist's album (of the artist, where a track names no album)
    same_album : Labels of the album's title alone, by which neighbours of one record are known
    """

    artist: Labels
    album: Labels
    genre: Labels
    same_album: Labels

    def __getitem__(self, rows: NDArray[np.integer]) -> Tags:
        return Tags(self.artist[rows], self.album[rows], self.genre[rows], self.same_album[rows])

    def same_origin(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.bool_]:
        """Which tracks are by the same artist or on the same album as each of the rows, oneself included.

        rows : of q tracks; None: all.  Returns bool [shape=(q, n)]
        """
        some = np.arange(len(self.artist)) if rows is None else np.asarray(rows)
        artist, album = self.artist[some][:, None], self.same_album[some][:, None]
        by_artist = (self.artist == artist) & (artist >= 0)
        on_album = (self.same_album == album) & (album >= 0)
        return by_artist | on_album | (np.arange(len(self.artist)) == some[:, None])

    def origin(self) -> Labels:
        """What is held out together: a track's artist, else its album, else the track itself; nowhere -1."""
        keys = [
            f"artist {artist}" if artist >= 0 else f"album {album}" if album >= 0 else f"track {row}"
            for row, (artist, album) in enumerate(zip(self.artist.tolist(), self.same_album.tolist(), strict=True))
        ]
        return labels(keys)


def tags(artists: Sequence[str | None], albums: Sequence[str | None], genres: Sequence[str | None]) -> Tags:
    """Names to numbers; what only says "unknown" is no name."""
    by, on = [said(a) for a in artists], [said(a) for a in albums]
    records = [f"{artist}\x00{album}" if artist or album else "" for artist, album in zip(by, on, strict=True)]
    return Tags(labels(by), labels(records), labels([said(g) for g in genres]), labels(on))


def labels(names: Sequence[str]) -> Labels:
    """A number for each name; -1 for ""."""
    known = {name: number for number, name in enumerate(sorted(set(names) - {""}))}
    return np.array([known.get(name, -1) for name in names], dtype=np.int32)


def said(name: str | None) -> str:
    """A name without regard to case and blanks; "" where it only says that nobody knows."""
    folded = " ".join((name or "").casefold().split())
    return "" if folded in _UNSAID else folded


def spellings(names: Iterable[str | None]) -> dict[str, str]:
    """How to write each name that is said: by what `said` makes of it, the commonest spelling, blanks tidied."""
    counts: dict[str, Counter[str]] = {}
    for name in names:
        if name and (key := said(name)):
            counts.setdefault(key, Counter())[" ".join(name.split())] += 1
    return {key: min(found, key=lambda one: (-found[one], one)) for key, found in counts.items()}


def with_enough(label: Labels, fewest: int) -> Labels:
    """Labels of fewer tracks than that count as none."""
    counts = np.bincount(label[label >= 0], minlength=int(label.max(initial=0)) + 1)
    return np.where((label >= 0) & (counts[np.maximum(label, 0)] >= fewest), label, -1).astype(np.int32)
