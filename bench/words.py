"""Makes the numbers of `batch/words/vocabulary.py`: the probability below which a word is said of no track.

    python bench/words.py SONGS CLIPS [--kept FILE.npz] [--kept-clips FILE.npz] [--json FILE]

SONGS and CLIPS hold audio, SONGS a folder for each collection (`bench.audio_songs`; what is extracted is kept in the files). A
word's limit is the lower of its medians over the songs and over the clips. To see whether limits hold on other music, they are
also made of one half of the collections and of the clips, and used on the songs of the other half: "below" is the share of those
that are under the limit, "said" the share of which the word is said. "Highest": the collections of the ten songs that a word
fits best.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from batch.ear.tag_names import TAG_NAMES  # noqa: E402
from batch.library.labels import labels  # noqa: E402
from batch.words.tag_percentiles import said, word_probabilities  # noqa: E402
from batch.words.vocabulary import WORDS  # noqa: E402
from bench.audio_songs import audio_songs  # noqa: E402
from bench.features import in_first_half, table  # noqa: E402

HIGHEST = 10
NAMES = [word.name for word in WORDS]


def limits(songs: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """The limit of each word [shape=(words,)].  songs, clips : probabilities by word [shape=(n, words)]"""
    return np.minimum(np.median(songs, axis=0), np.median(clips, axis=0))


def said_share(probabilities: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Share of the songs of which each word is said, as a library of their own [shape=(words,)].  chosen : its limits"""
    percentiles = 100 * probabilities.argsort(axis=0).argsort(axis=0) // len(probabilities)
    return np.asarray(said(np.where(probabilities < chosen, 0, percentiles).astype(np.uint8)).mean(axis=0))


def rows(songs: np.ndarray, clips: np.ndarray, collections: list[str]) -> list[dict[str, object]]:
    """A row for each word."""
    is_first = in_first_half(labels([name.casefold() for name in collections]))
    is_first_clip = np.arange(len(clips)) % 2 == 0
    of_all = limits(songs, clips)
    of_first, of_second = limits(songs[is_first], clips[is_first_clip]), limits(songs[~is_first], clips[~is_first_clip])
    below = (songs[~is_first] < of_first).mean(axis=0), (songs[is_first] < of_second).mean(axis=0)
    said_shares = said_share(songs[~is_first], of_first), said_share(songs[is_first], of_second)
    report: list[dict[str, object]] = []
    for column, word in enumerate(WORDS):
        highest = np.argsort(-songs[:, column], kind="stable")[:HIGHEST]
        kinds = Counter(collections[row] for row in highest).most_common(4)
        report.append(
            {
                "word": word.name,
                "in use": word.unlikely_below,
                "of all": float(f"{of_all[column]:.2g}"),
                "first half": float(f"{of_first[column]:.2g}"),
                "second half": float(f"{of_second[column]:.2g}"),
                "below in the other half, %": f"{100 * below[0][column]:.0f}, {100 * below[1][column]:.0f}",
                "said in the other half, %": f"{100 * said_shares[0][column]:.0f}, {100 * said_shares[1][column]:.0f}",
                "highest": ", ".join(f"{count} {name}" for name, count in kinds),
            }
        )
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--kept", type=Path, help="features of an earlier run; written where it is missing")
    parser.add_argument("--kept-clips", type=Path, help="the same of the clips")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    songs, clips = audio_songs(options.songs, options.kept), audio_songs(options.clips, options.kept_clips)
    if songs.tag_probabilities is None or clips.tag_probabilities is None:
        raise SystemExit("the kept features are of an earlier version, without tags: name files that are not there yet")
    report = rows(
        word_probabilities(songs.tag_probabilities, TAG_NAMES, NAMES),
        word_probabilities(clips.tag_probabilities, TAG_NAMES, NAMES),
        songs.tags["collection"],
    )
    print(table(report))
    others = [row["word"] for row in report if row["in use"] != row["of all"]]
    print(f"\nother than in use: {', '.join(map(str, others)) or 'none'}", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
