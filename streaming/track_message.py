"""A track's value on the topic `track-features`: written by the feed, read by the catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch.ear.graph import N_EMBEDDING
from batch.library.labels import joined_artists
from batch.library.titles import known_length
from batch.words.tag_percentiles import read_words


def track_message(document: Mapping[str, Any] | None) -> bytes | None:
    """A track's value on the topic; None for a removed track or one without features. Raises ValueError for bad features.

    A title or length that is none is null; a track without an embedding has no field `embedding`.
    """
    if document is None or not document.get("features"):
        return None
    numbers = {"features": _numbers(document["features"], "features")}
    if document.get("embedding"):
        numbers["embedding"] = _numbers(document["embedding"], "embedding")
    fields = {name: document.get(name) for name in ("artist", "title", "duration_s", "extractor_version")}
    if not isinstance(fields["title"], str | None):
        fields["title"] = None
    fields["duration_s"] = known_length(fields["duration_s"])
    if len(artists := _artists(document.get("artists"))) > 1:
        fields["artists"] = artists
    if words := read_words(document.get("tags")):
        fields["tags"] = [{"tag": name, "percentile": percentile} for name, percentile in words.items()]
    return json.dumps({**fields, **numbers}, ensure_ascii=False, separators=(",", ":")).encode()


def _artists(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple)) else []


def _numbers(values: Any, name: str) -> list[float]:
    """The values as float32 in their shortest decimal form. Raises ValueError where they are no finite numbers."""
    try:
        numbers = np.asarray(values, dtype=np.float32)
        shortest = [float(number) for number in numbers.astype(str)]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name}: expected a list of numbers ({error})") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers")
    return shortest


def parse_track(value: bytes | None) -> dict[str, Any] | None:
    """The fields of a message, `features` as float32 [shape=(n,)], `embedding` likewise or None, `title` and `duration_s` None
    where they are none, and in `artist` each of several artists (`batch.library.labels.joined_artists`).

    None for a removal. Raises ValueError for no track.
    """
    if value is None:
        return None
    try:
        fields = json.loads(value)
        features = np.asarray(fields["features"], dtype=np.float32)
        if not isinstance(fields.get("artist"), str | None):
            raise ValueError(f"artist: expected a string, got {type(fields['artist']).__name__}")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a JSON object with features ({error})") from error
    if features.ndim != 1 or not len(features):
        raise ValueError(f"features: expected a list of numbers, got the shape {features.shape}")
    title = fields.get("title")
    return {
        **fields,
        "artist": joined_artists(fields.get("artist"), _artists(fields.get("artists"))),
        "features": features,
        "embedding": _embedding(fields.get("embedding")),
        "title": title if isinstance(title, str) else None,
        "duration_s": known_length(fields.get("duration_s")),
    }


def _embedding(value: Any) -> NDArray[np.float32] | None:
    """float32 [shape=(200,)]; None where there is none. Raises ValueError for anything else."""
    if value is None:
        return None
    try:
        embedding = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"embedding: expected a list of numbers ({error})") from error
    if embedding.shape != (N_EMBEDDING,):
        raise ValueError(f"embedding: expected {N_EMBEDDING} numbers, got the shape {embedding.shape}")
    return embedding
