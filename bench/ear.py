"""Measures the trained ear: milliseconds of a core by variant of its graph and by part of a track, and its answers.

    .venv/bin/python bench/ear.py --audio DIR [--tracks 12] [--reference FILE] [--json FILE]

DIR holds MP3s of 30 s. Times are processor time, the fastest of several runs; answers are compared with those of the graph with
all filters. FILE holds TensorFlow's answers for clips by file name ({name: {"first_patch": {"embedding", "tags"}, "mean": …}},
patches at frames 0, 187, 374, … of librosa's 16 kHz), which the graph in use is compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from batch.audio import features  # noqa: E402
from batch.audio.decoding import Recording, audible  # noqa: E402
from batch.ear import checkpoint, graph, network, spectrogram, wheel  # noqa: E402
from batch.ear.excerpts import Excerpts  # noqa: E402
from batch.ear.graph import _Graph, _numbered  # noqa: E402

RUNS = 5


class AllFilters(_Graph):
    """With the dead filters, as it was trained."""

    def _is_live(self, number: int) -> NDArray[np.bool_]:
        return np.ones(self._weights[_numbered("conv2d", number) + "/bias"].shape, dtype=bool)


class Rewritten(AllFilters):
    """With a front end that answers before the batch norm: of the bare convolution, whose sign is that of the norm's factor."""

    def _highest(self, image: str, number: int, padding: tuple[int, int]) -> str:
        scale, shift = (values.reshape(1, -1, 1) for values in self._scale_and_shift(number + 1))
        sign = np.where(scale < 0, -1.0, 1.0)
        kernel = self._weights[_numbered("conv2d", number) + "/kernel"].transpose(3, 2, 0, 1) * sign.reshape(
            -1, 1, 1, 1
        )
        bias = self._weights[_numbered("conv2d", number) + "/bias"].reshape(1, -1, 1)
        highest = self._node("Mul", self._maxima(image, kernel, padding), self._constant(sign))
        rectified = self._node("Relu", self._node("Add", highest, self._constant(bias)))
        return self._node("Add", self._node("Mul", rectified, self._constant(scale)), self._constant(shift))

    def _maxima(self, image: str, kernel: NDArray[Any], padding: tuple[int, int], step: int = 1) -> str:
        pads = [padding[0], 0, padding[1], 0]
        answers = self._node("Conv", image, self._constant(kernel), pads=pads, strides=[1, step])
        return self._node("ReduceMax", answers, axes=[3], keepdims=0)


class EverySecondBand(Rewritten):
    """Filters of a part of the bands are tried at every second position."""

    def _maxima(self, image: str, kernel: NDArray[Any], padding: tuple[int, int], step: int = 1) -> str:
        return super()._maxima(image, kernel, padding, 2 if kernel.shape[3] > 1 else 1)


class Int8(Rewritten):
    """The front end in whole numbers: input and kernels in 8 bits, one scale for each filter."""

    LOWEST, HIGHEST = -1.13, 0.85
    """Of the normalised input."""

    def _maxima(self, image: str, kernel: NDArray[Any], padding: tuple[int, int], step: int = 1) -> str:
        step_in = (self.HIGHEST - self.LOWEST) / 255
        zero = self._exact(np.array(round(-self.LOWEST / step_in), np.uint8))
        scales = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-12) / 127
        whole = self._exact(np.rint(kernel / scales.reshape(-1, 1, 1, 1)).astype(np.int8))
        quantised = self._node("QuantizeLinear", image, self._exact(np.array(step_in, np.float32)), zero)
        answers = self._node("ConvInteger", quantised, whole, zero, pads=[padding[0], 0, padding[1], 0])
        highest = self._node("Cast", self._node("ReduceMax", answers, axes=[3], keepdims=0), to=1)
        return self._node("Mul", highest, self._constant((scales * step_in).reshape(1, -1, 1)))

    def _exact(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(values, f"w{len(self._constants)}"))
        return f"w{len(self._constants) - 1}"


def session(content: bytes, is_optimised: bool = True) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if is_optimised else levels.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def fastest_ms(work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 1000 * min(seconds)


def variants(patches: NDArray[np.float32]) -> list[dict[str, Any]]:
    """A row for each variant: ms of the patches of one track, and how far its embedding is from that of all filters."""
    source = wheel.fetched()
    weights = checkpoint.arrays(source.index, source.data)
    contents = {kind: kind(weights).serialised() for kind in (AllFilters, Rewritten, EverySecondBand, Int8, _Graph)}
    plans: list[tuple[str, type[_Graph], bool, bool]] = [
        ("all filters, a track's patches as one batch", AllFilters, True, True),
        ("all filters, patch by patch", AllFilters, True, False),
        ("all filters, without onnxruntime's optimisations", AllFilters, False, True),
        ("all filters, maxima before the batch norm", Rewritten, True, True),
        ("that, at every second band", EverySecondBand, True, True),
        ("that, front end in int8", Int8, True, True),
        ("live filters alone (in use)", _Graph, True, True),
    ]
    rows, expected = [], None
    for name, kind, is_optimised, is_batch in plans:
        ready = session(contents[kind], is_optimised)

        def run(ready: Any = ready, is_batch: bool = is_batch) -> NDArray[np.float32]:
            parts = [patches] if is_batch else [patches[i : i + 1] for i in range(len(patches))]
            return np.concatenate([ready.run(["embedding"], {"patches": part})[0] for part in parts])

        embedding = run()
        expected = embedding if expected is None else expected
        difference, size_mb = float(np.abs(embedding - expected).max()), len(contents[kind]) / 1e6
        likeness = float(np.corrcoef(embedding.ravel(), expected.ravel())[0, 1])
        row = {"variant": name, "ms": fastest_ms(run), "mb": size_mb, "difference": difference, "correlation": likeness}
        rows.append(row)
        print(f"  {name}: {row['ms']:.1f} ms", file=sys.stderr)
    return rows


def parts(files: list[Path], ear: network.Ear) -> dict[str, float]:
    """Median ms of a core of each part of a track."""
    import soxr

    features.warm_up()
    times: dict[str, list[float]] = {}
    for file in files:

        def read(recording: Recording) -> tuple[list[NDArray[np.float32]], Excerpts]:
            excerpts = features._excerpts(recording, features.MIDDLE_S)
            return list(features._collected(features._resampled(recording), excerpts)), excerpts

        (blocks, excerpts), _ = audible(file, features.MIDDLE_S, read)
        signal, patches = np.concatenate(blocks), excerpts.patches()
        at_16_khz = soxr.resample(signal, features.SAMPLE_RATE, spectrogram.EAR_RATE, quality="HQ")
        work: dict[str, Callable[[], Any]] = {
            "decoding and resampling to 22,050 Hz": lambda file=file, read=read: audible(file, features.MIDDLE_S, read),  # type: ignore[misc]
            "MFCC and contrast": lambda blocks=blocks: features._features_of(blocks),  # type: ignore[misc]
            "excerpts at 16,000 Hz, and their spectrograms": lambda excerpts=excerpts: excerpts.patches(),  # type: ignore[misc]
            "(the whole part at 16,000 Hz instead)": lambda signal=signal: soxr.resample(  # type: ignore[misc]
                signal, features.SAMPLE_RATE, spectrogram.EAR_RATE, quality="HQ"
            ),
            "(its whole spectrogram instead)": lambda y=at_16_khz: spectrogram.log_mel(y),  # type: ignore[misc]
            "network": lambda patches=patches: ear.heard(patches),  # type: ignore[misc]
        }
        for name, call in work.items():
            times.setdefault(name, []).append(fastest_ms(call))
    return {name: statistics.median(values) for name, values in times.items()}


def largest_differences(reference: Path, audio: Path, ear: network.Ear) -> dict[str, Any]:
    """From TensorFlow's answers, over all clips that are there."""
    import librosa

    answers, worst, clips = json.loads(reference.read_text()), {"embedding": 0.0, "tags": 0.0}, 0
    for file in sorted(audio.rglob("*.mp3")):
        if file.name not in answers:
            continue
        frames = spectrogram.log_mel(librosa.load(file, sr=spectrogram.EAR_RATE)[0])
        count = len(frames) // graph.PATCH_FRAMES
        patches = frames[: count * graph.PATCH_FRAMES].reshape(count, graph.PATCH_FRAMES, graph.N_BANDS)
        for name, values in zip(("embedding", "tags"), ear.answers(patches), strict=True):
            for part, ours in (("first_patch", values[0]), ("mean", values.mean(axis=0))):
                worst[name] = max(worst[name], float(np.abs(ours - answers[file.name][part][name]).max()))
        clips += 1
    return {"clips": clips, **worst}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = sorted(options.audio.rglob("*.mp3"))[: options.tracks]
    if not files:
        raise SystemExit(f"no MP3 below {options.audio}")
    ear = network.loaded(graph.default_place())
    excerpts, _ = audible(files[0], features.MIDDLE_S, lambda file: [_collect(file)])
    results: dict[str, Any] = {"variants": variants(excerpts[0].patches()), "parts_ms": parts(files, ear)}
    if options.reference:
        results["difference_from_tensorflow"] = largest_differences(options.reference, options.audio, ear)
    print(table(results))
    text = json.dumps(results, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


def _collect(file: Recording) -> Excerpts:
    excerpts = features._excerpts(file, features.MIDDLE_S)
    for _ in features._collected(features._resampled(file), excerpts):
        pass
    return excerpts


def table(results: dict[str, Any]) -> str:
    lines = ["", "| the patches of a track (ten in 30 s) | ms of a core | file | largest difference | correlation |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for row in results["variants"]:
        lines.append(
            f"| {row['variant']} | {row['ms']:.1f} | {row['mb']:.1f} MB | {row['difference']:.1g} | {row['correlation']:.4f} |"
        )
    lines += ["", "| part of a track of 30 s | ms of a core |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.1f} |" for name, value in results["parts_ms"].items()]
    if worst := results.get("difference_from_tensorflow"):
        figures = f"embedding {worst['embedding']:.1g}, tags {worst['tags']:.1g}"
        lines += ["", f"Largest difference from TensorFlow over {worst['clips']} clips: {figures}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
