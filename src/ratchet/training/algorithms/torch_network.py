"""The trained network as plain arrays: scoring with NumPy, and its file without pickle.

A few small networks in one (TabM: Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep
Learning with Parameter-Efficient Ensembling", 2024, after BatchEnsemble: Wen, Tran and Ba, 2020).
The members share all matrices; each has its own signs before the first shared layer, its own
scales and offsets behind every one, and its own head. They are trained side by side, each on its
own loss, and their probabilities are averaged. Differences to the paper, for speed on processors:
the first layer is the same for all members, and there is a linear path from the inputs to the
output (Cheng et al., "Wide & Deep Learning", 2016), so that few rows end near a linear model.

Scores are float64 arithmetic on float32 weights, here and in ``packaging.network`` alike.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.algorithms.torch_inputs import Inputs
from ratchet.training.fitted import Matrix
from ratchet.training.targets import Standard

Weights = Mapping[str, npt.NDArray[np.float32]]
Floats = npt.NDArray[np.float64]

CHUNK = 1024
"""Rows scored at once: members x rows x width numbers are in memory."""
_FORMAT = 1
_INPUT = "input."
_WEIGHT = "weight."


@dataclass(frozen=True, slots=True)
class Shape:
    """``members`` networks of ``depth`` hidden layers of ``width``, on vectors of ``vector``."""

    members: int
    width: int
    depth: int
    vector: int

    def sizes(self, inputs: Inputs, outputs: int) -> dict[str, tuple[int, ...]]:
        """The weights' names and shapes, in the order in which they are initialised."""
        columns = inputs.dense + self.vector * len(inputs.table_column)
        k, h = self.members, self.width
        sizes: dict[str, tuple[int, ...]] = {}
        if len(inputs.table_column):
            sizes["vectors"] = (inputs.vectors, self.vector)
        sizes |= {"wide": (columns, outputs), "first": (columns, h), "first_offset": (h,)}
        sizes["signs"] = (k, 1, h)
        for layer in range(1, self.depth):
            sizes[f"layer{layer}"] = (h, h)
            sizes[f"layer{layer}_scale"] = sizes[f"layer{layer}_offset"] = (k, 1, h)
        return sizes | {"head": (k, h, outputs), "head_offset": (k, 1, outputs)}


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Trained weights by name, and what stands before and behind them.

    ``classes`` is 0 for regression, and then ``standard`` turns outputs into estimates.
    """

    inputs: Inputs
    shape: Shape
    classes: int
    standard: Standard
    weights: Weights

    @property
    def outputs(self) -> int:
        """Columns of a member's output: one margin for two classes, one estimate, else k."""
        return self.classes if self.classes > 2 else 1

    def to_bytes(self) -> bytes:
        """The network as an ``npz`` file; :meth:`from_bytes` makes an equal one of it."""
        shape = self.shape
        head = [_FORMAT, self.classes, shape.members, shape.width, shape.depth, shape.vector]
        arrays: dict[str, npt.NDArray[Any]] = {
            "head": np.array(head, dtype=np.int64),
            "standard": np.array([self.standard.center, self.standard.scale]),
        }
        arrays |= {_INPUT + name: value for name, value in self.inputs.arrays().items()}
        arrays |= {_WEIGHT + name: value for name, value in self.weights.items()}
        return write_arrays(arrays)

    @classmethod
    def from_bytes(cls, content: bytes) -> Network:
        """What :meth:`to_bytes` wrote.

        Raises:
            ValueError: these bytes hold something else.
        """
        arrays = read_arrays(content)
        if "head" not in arrays or int(arrays["head"][0]) != _FORMAT:
            raise ValueError("this is no network that this Ratchet saved")
        _, classes, members, width, depth, vector = arrays["head"].tolist()
        center, scale = arrays["standard"].tolist()
        return cls(
            inputs=Inputs.of(_within(arrays, _INPUT)),
            shape=Shape(members, width, depth, vector),
            classes=classes,
            standard=Standard(center, scale),
            weights=_within(arrays, _WEIGHT),
        )


class NetworkScorer:
    """Scores rows with a network's weights in float64; needs NumPy only."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._weights = {name: value.astype(np.float64) for name, value in network.weights.items()}

    def __call__(self, X: Matrix) -> Floats:
        """Scores of rows (n, features): (n, classes), or estimates (n, 1) for regression."""
        network = self._network
        scores = np.empty((len(X), max(1, network.classes)))
        for start in range(0, len(X), CHUNK):
            outputs = self._outputs(X[start : start + CHUNK])
            scores[start : start + CHUNK] = self._link(outputs)
        return scores

    def _outputs(self, X: Matrix) -> Floats:
        """What each member puts out (members, n, outputs)."""
        weights, inputs = self._weights, self._network.inputs
        values = inputs.encode(X)
        if len(inputs.table_column):
            vectors = weights["vectors"][inputs.places(X)]
            values = np.concatenate([values, vectors.reshape(len(X), -1)], axis=1)
        hidden = np.maximum(values @ weights["first"] + weights["first_offset"], 0.0)
        members = hidden * weights["signs"]
        for layer in range(1, self._network.shape.depth):
            name = f"layer{layer}"
            members = members @ weights[name]
            members *= weights[f"{name}_scale"]
            members += weights[f"{name}_offset"]
            np.maximum(members, 0.0, out=members)
        outputs = members @ weights["head"] + weights["head_offset"]
        return np.asarray(outputs + values @ weights["wide"])

    def _link(self, outputs: Floats) -> Floats:
        network = self._network
        if network.classes == 0:
            return network.standard.restore(outputs.mean(axis=0))
        if network.outputs == 1:
            positive = (1.0 / (1.0 + np.exp(-np.clip(outputs, -700.0, 700.0)))).mean(axis=0)
            return np.concatenate([1.0 - positive, positive], axis=1)
        shares = np.exp(outputs - outputs.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        return np.asarray(shares.mean(axis=0))


def write_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays by name as the bytes of an ``npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """What :func:`write_arrays` wrote.

    Raises:
        ValueError: these bytes are no whole ``npz`` file, or one that needs pickle.
    """
    from zipfile import BadZipFile

    if not content.startswith(b"PK"):
        raise ValueError("no arrays can be read here: this is no npz file")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"no arrays can be read here: {error}") from error


def _within(arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    at = len(prefix)
    return {name[at:]: value for name, value in arrays.items() if name.startswith(prefix)}
