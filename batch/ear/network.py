"""What the trained ear hears: patches → 200 numbers (the layer before the last: the embedding) and 50 tags' probabilities.

onnxruntime is imported when the network is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batch.ear.graph import N_BANDS, N_EMBEDDING, N_TAGS, PATCH_FRAMES, checked, place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EAR_VERSION = "musicnn-msd/2"
"""Part of the column `extractor_version`; to be changed whenever the same file would give another embedding."""


class EarUnusable(ValueError):
    """The network cannot be used on this machine."""


class NoAnswer(ValueError):
    """The network could not answer for a track."""


class NotFinite(NoAnswer):
    """The network's answer is not all finite numbers."""


@dataclass(frozen=True)
class Heard:
    """Means over a track's patches.

    embedding : float32 [shape=(200,)]
    tags : probabilities in the order of TAG_NAMES, float32 [shape=(50,)], in [0, 1]
    """

    embedding: NDArray[np.float32]
    tags: NDArray[np.float32]


class Ear:
    """The network, loaded; one thread.

    graph : its ONNX file
    Raises EarUnusable.
    """

    def __init__(self, graph: Path) -> None:
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(
                checked(graph).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no base class but Exception
            raise EarUnusable(str(error)) from error

    def answers(self, patches: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(embedding [shape=(n, 200)], tags [shape=(n, 50)]) of each patch [shape=(n, 187, 96)]. Raises NoAnswer."""
        import numpy as np

        try:
            # One at a time: ten together take 90 MB more, and no less time.
            answers = [
                self._session.run(["embedding", "tags"], {"patches": patches[row : row + 1]})
                for row in range(len(patches))
            ]
        except Exception as error:  # as above
            raise NoAnswer(f"the trained ear could not answer: {str(error) or type(error).__name__}") from error
        embeddings, tags = zip(*answers, strict=True)
        return np.concatenate(embeddings), np.concatenate(tags)

    def heard(self, patches: NDArray[np.float32]) -> Heard:
        """Means over one track's patches [shape=(n, 187, 96)]. Raises NoAnswer, NotFinite."""
        import numpy as np

        embedding, tags = (values.mean(axis=0) for values in self.answers(patches))
        if not (np.isfinite(embedding).all() and np.isfinite(tags).all()):
            raise NotFinite("the trained ear's answer is not all finite numbers")
        return Heard(embedding, tags)


@lru_cache
def loaded(graph: Path) -> Ear:
    """The network of a file, loaded once a process, and tried on one patch. Raises EarUnusable."""
    import numpy as np

    ear = Ear(graph)
    ramp = np.linspace(0.0, 4.0, PATCH_FRAMES * N_BANDS, dtype=np.float32).reshape(1, PATCH_FRAMES, N_BANDS)
    try:
        heard = ear.heard(ramp)
    except NoAnswer as error:
        raise EarUnusable(f"{graph}: {error}") from error
    if (len(heard.embedding), len(heard.tags)) != (N_EMBEDDING, N_TAGS):
        raise EarUnusable(f"{graph} answers {len(heard.embedding)} and {len(heard.tags)} numbers")
    return ear


def usable_graph(ear: str) -> tuple[Path | None, str]:
    """(the graph's file, "") where the setting `library.ear` names the network and it can be used, else (None, why not).

    The reason is "" where the setting is "none".
    """
    if ear == "none":
        return None, ""
    file = place()
    try:
        loaded(file)
    except EarUnusable as error:
        return None, str(error)
    return file, ""
