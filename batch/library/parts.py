"""Which parts of what is made of a file are up to date.

A part is made again where its file or its reader has changed; the other parts stay. So an upgrade adds a part to a whole library
without doing the rest of the work again.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch.audio.features import split_version

VECTOR = "vector"
"""The 189 features."""
EAR = "ear"
"""Embedding and tags of the trained ear."""
MAX_IMPUTED_SHARE = 0.01
"""Share of a library's tracks that may lack an embedding where a model is trained on embeddings; theirs are imputed. Of fewer
than 100 tracks one may, so that a file that the ear cannot hear does not keep the ear from a small library."""


@dataclass(frozen=True)
class Readers:
    """Versions of the readers in use.

    vector : of the features, as `extractor_version` without an ear
    ear : of the trained ear; "": it is not used
    """

    vector: str
    ear: str = ""

    @property
    def parts(self) -> frozenset[str]:
        """The parts that every track is to have."""
        return frozenset({VECTOR, EAR} if self.ear else {VECTOR})

    def current_parts(self, version: str) -> frozenset[str]:
        """The parts that a row of the table `features` has by these readers.  version : its `extractor_version`"""
        vector, ear = split_version(version)
        parts = {VECTOR: vector == self.vector, EAR: bool(self.ear) and ear == self.ear}
        return frozenset(part for part, is_current in parts.items() if is_current)


def are_enough_embedded(embedded: int, tracks: int) -> bool:
    """Whether so many of a library's tracks have an embedding that a model is trained on embeddings."""
    return embedded == tracks or (embedded > 1 and tracks - embedded <= max(1, MAX_IMPUTED_SHARE * tracks))
