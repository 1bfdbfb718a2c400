"""Measures search in the player's memory: the index's time and memory, and the server's time of queries.

    python -m bench.search [--tracks 100000]

Names are made of syllables, as many different ones as a library of this size has; no service is needed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
import tracemalloc
from typing import Any

from ui.search.building import build_index
from ui.search.grouped import search
from ui.search.index import SearchIndex

SYLLABLES = [
    first + vowel + last for first in "bcdfghklmnprstvwz" for vowel in "aeiou" for last in ("", "n", "r", "s", "l")
]
WORDS = 60_000
ALBUM_TRACKS, ALBUMS_AN_ARTIST = 11, 3
QUERIES = 400


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=100_000)
    tracks = parser.parse_args().tracks
    draw = random.Random(11)
    words = sorted({"".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(WORDS)})
    documents = library(draw, words, tracks)
    started = time.perf_counter()
    build_index(*documents)
    build_s = time.perf_counter() - started
    tracemalloc.start()
    index = build_index(*documents)
    megabytes = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    report = {
        "tracks": len(index),
        "albums": len(index.albums),
        "artists": len(index.artists),
        "terms": len(index.terms.terms),
        "build_s": round(build_s, 2),
        "index_mb": round(megabytes),
        "exact_ms": milliseconds(index, [typed(draw, index, is_wrong=False) for _ in range(QUERIES)]),
        "with_a_typing_error_ms": milliseconds(index, [typed(draw, index, is_wrong=True) for _ in range(QUERIES // 4)]),
        "one_letter_ms": milliseconds(index, [draw.choice("abdegkmnst") for _ in range(QUERIES // 8)]),
    }
    print(json.dumps(report, indent=2))
    return 0


def library(draw: random.Random, words: list[str], tracks: int) -> tuple[list[dict[str, Any]], ...]:
    """(documents of tracks, albums, artists)."""

    def phrase(most: int) -> str:
        # Some words are much commoner than others.
        return " ".join(words[int(len(words) * draw.random() ** 3)] for _ in range(draw.randint(1, most))).title()

    albums: list[dict[str, Any]] = []
    artists: list[dict[str, Any]] = []
    documents: list[dict[str, Any]] = []
    while len(documents) < tracks:
        artist = phrase(2)
        artists.append({"_id": artist.casefold(), "name": artist, "tracks": ALBUM_TRACKS * ALBUMS_AN_ARTIST})
        for _ in range(ALBUMS_AN_ARTIST):
            album = {"_id": str(len(albums)), "title": phrase(4), "artist": artist, "tracks": ALBUM_TRACKS}
            albums.append(album)
            for _ in range(ALBUM_TRACKS):
                names = {"title": phrase(5), "artist": artist, "album": album["title"], "genre": "Folk"}
                documents.append({"_id": f"{len(documents):016x}", **names})
    return documents[:tracks], albums, list({artist["_id"]: artist for artist in artists}.values())


def typed(draw: random.Random, index: SearchIndex, is_wrong: bool) -> str:
    """What somebody types who looks for a track: its title or artist, with two letters swapped in one word or as it is."""
    words = draw.choice(index.titles + index.artist_names).split()[:3]
    if is_wrong:
        position = max(range(len(words)), key=lambda number: len(words[number]))
        word = words[position]
        place = draw.randrange(max(1, len(word) - 1))
        words[position] = word[:place] + word[place : place + 2][::-1] + word[place + 2 :]
    return " ".join(words)


def milliseconds(index: SearchIndex, queries: list[str]) -> dict[str, float]:
    """p50, p95 and worst time of queries with their first page."""
    times = []
    for query in queries:
        started = time.perf_counter()
        results = search(index, query)
        results.track_ids("tracks", 0, 40)
        times.append(1000 * (time.perf_counter() - started))
    cuts = statistics.quantiles(times, n=20)
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "worst": round(max(times), 1)}


if __name__ == "__main__":
    sys.exit(main())
