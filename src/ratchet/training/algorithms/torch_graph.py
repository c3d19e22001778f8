"""The network in PyTorch: the forward pass that is trained, and its losses."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.algorithms.torch_inputs import (
    BOUND,
    SMOOTH_BOUND,
    SMOOTH_REACH,
    Inputs,
)
from ratchet.training.algorithms.torch_network import Shape
from ratchet.training.fitted import TrainingRows
from ratchet.training.targets import Standard


class Flat:
    """All weights as one vector: one optimiser step is a few operations, whatever the network."""

    def __init__(self, sizes: dict[str, tuple[int, ...]]) -> None:
        self.sizes = sizes
        self.lengths = [int(np.prod(size)) for size in sizes.values()]

    def views(self, vector: Any) -> dict[str, Any]:
        """The weights by name, without a copy."""
        parts = vector.split(self.lengths)
        return {
            name: part.view(size)
            for (name, size), part in zip(self.sizes.items(), parts, strict=True)
        }

    def fill(self, values: dict[str, float], default: float) -> npt.NDArray[np.float32]:
        """A vector with one value per weight matrix, such as its decay."""
        parts = [
            np.full(length, values.get(name, default), dtype=np.float32)
            for name, length in zip(self.sizes, self.lengths, strict=True)
        ]
        return np.concatenate(parts)


class Source:
    """Rows handed out in batches on the device; on a GPU they lie there as a whole if they fit."""

    def __init__(self, rows: TrainingRows, standard: Standard, device: Any) -> None:
        import torch

        self.count = len(rows.y)
        self._X, self._device, self._torch = rows.X, device, torch
        self._resident = None
        if device.type == "cuda" and rows.X.nbytes < 0.5 * torch.cuda.mem_get_info(device)[0]:
            self._resident = torch.tensor(rows.X, device=device)
        # Two classes and numbers are learned as numbers, more classes by their codes.
        target: npt.NDArray[Any] = (
            rows.y.astype(np.int64)
            if rows.classes > 2
            else standard.standardise(rows.y).astype(np.float32)
        )
        self._y = torch.from_numpy(target).to(device)
        self._weight = None
        if rows.weight is not None:
            scaled = rows.weight / rows.weight.mean(dtype=np.float64)
            self._weight = torch.from_numpy(scaled.astype(np.float32)).to(device)

    def batch(self, at: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
        """Features, targets and weights (or None) of the rows at these positions."""
        place = self._torch.from_numpy(at).to(self._device)
        if self._resident is None:
            X = self._torch.from_numpy(self._X[at]).to(self._device)
        else:
            X = self._resident.index_select(0, place)
        weight = None if self._weight is None else self._weight.index_select(0, place)
        return X, self._y.index_select(0, place), weight


class Forward:
    """Scores encoded rows in float32 with weights by name; does what ``NetworkScorer`` does."""

    def __init__(self, inputs: Inputs, shape: Shape, classes: int, device: Any) -> None:
        import torch

        self._torch, self._classes = torch, classes
        self._members, self._depth = shape.members, shape.depth
        self._dense, self._tables = inputs.dense > 0, len(inputs.table_column) > 0

        def held(values: npt.NDArray[Any]) -> Any:
            kind = torch.int64 if values.dtype == np.int64 else torch.float32
            return torch.tensor(values, dtype=kind, device=device)

        self._at = {name: held(value) for name, value in inputs.arrays().items() if value.ndim}
        self._offsets = held(inputs.offsets)
        self._middle = held(inputs.fill[inputs.smooth_column])
        self._half = half_precision(device)

    def encode(self, X: Any) -> Any:
        """The dense inputs (n, dense), as ``Inputs.encode`` has them."""
        torch, at = self._torch, self._at
        absent = torch.isnan(X)
        values = torch.where(absent, at["fill"], X).clamp(-BOUND, BOUND)
        pieces = (values[:, at["piece_column"]] - at["piece_low"]) * at["piece_rate"]
        scaled = (values[:, at["smooth_column"]] - self._middle) * at["smooth_rate"]
        scaled = scaled.clamp(-SMOOTH_BOUND, SMOOTH_BOUND)
        codes = torch.where(absent, -1.0, X)[:, at["one_column"]]
        parts = (
            pieces.clamp(0.0, 1.0),
            scaled / torch.sqrt(1.0 + (scaled / SMOOTH_REACH) ** 2),
            absent[:, at["absent_column"]].float(),
            (codes == at["one_value"]).float(),
        )
        return torch.cat(parts, dim=1) - at["mean"]

    def outputs(
        self, weights: dict[str, Any], X: Any, mask: Any = None, *, exact: bool = False
    ) -> Any:
        """What each member puts out (members, n, outputs), float32.

        ``mask`` (n, width) drops values of the first layer. ``exact`` computes in float32
        throughout, whatever the device: what is judged is then what is shipped.
        """
        torch = self._torch
        values = self.encode(X)
        if self._tables:
            vectors = torch.nn.functional.embedding(self._places(X), weights["vectors"])
            values = torch.cat([values, vectors.flatten(1)], dim=1)
        signs = weights["signs"].transpose(1, 2)
        with nullcontext() if exact or self._half is None else self._half:
            members = self._layers(weights, values, signs, mask)
        # Margins always in float32: bfloat16 rounds one of 5 to a multiple of 1/32.
        head = weights["head"] if self._depth > 1 else weights["head"] * signs
        outputs = torch.baddbmm(weights["head_offset"], members.float(), head)
        return outputs + values @ weights["wide"]

    def _layers(self, weights: dict[str, Any], values: Any, signs: Any, mask: Any) -> Any:
        """What the members' last hidden layers give (members, n, width)."""
        torch = self._torch
        hidden = torch.relu(torch.addmm(weights["first_offset"], values, weights["first"]))
        if mask is not None:
            # In its own type again: cast later, each member would have a copy of its own.
            hidden = (hidden * mask).to(hidden.dtype)
        # Signs and scales are multiplied into the small matrices, not into every row's values:
        # the same sums for two thirds of the time.
        members = hidden.expand(self._members, -1, -1)
        for layer in range(1, self._depth):
            name = f"layer{layer}"
            matrix = weights[name] * weights[f"{name}_scale"]
            if layer == 1:
                matrix = matrix * signs
            members = torch.relu(torch.baddbmm(weights[f"{name}_offset"], members, matrix))
        return members

    def loss(self, outputs: Any, y: Any, weight: Any) -> Any:
        """The mean over members and rows of each member's own loss."""
        functional = self._torch.nn.functional
        members = outputs.shape[0]
        if self._classes == 0:
            each = (outputs[..., 0] - y) ** 2
        elif self._classes == 2:
            each = functional.binary_cross_entropy_with_logits(
                outputs[..., 0], y.expand(members, -1), reduction="none"
            )
        else:
            each = functional.cross_entropy(
                outputs.flatten(0, 1), y.repeat(members), reduction="none"
            ).view(members, -1)
        return (each if weight is None else each * weight).mean()

    def judge(self, outputs: Any, y: Any) -> tuple[Any, Any]:
        """Loss (n,) and hit (n,; None for regression) of each row, by the members together."""
        torch = self._torch
        if self._classes == 0:
            return (outputs[..., 0].mean(dim=0) - y) ** 2, None
        if self._classes == 2:
            positive = torch.sigmoid(outputs[..., 0]).mean(dim=0)
            chosen = torch.where(y > 0, positive, 1.0 - positive)
            hit = (positive >= 0.5) == (y > 0)
        else:
            shares = torch.softmax(outputs, dim=2).mean(dim=0)
            chosen = shares.gather(1, y[:, None])[:, 0]
            hit = shares.argmax(dim=1) == y
        return -torch.log(chosen.clamp(min=1e-7)), hit

    def _places(self, X: Any) -> Any:
        torch, at = self._torch, self._at
        codes = X[:, at["table_column"]]
        known = (codes >= 0) & (codes < at["table_size"])
        held = torch.where(known, codes, at["table_size"].float())
        return held.long() + self._offsets


def half_precision(device: Any) -> Any:
    """Autocast to bfloat16, whose range is float32's, where a GPU computes in it; else None.

    GPUs before Ampere only imitate it, slower than they compute in float32.
    """
    import torch

    if device.type != "cuda" or not torch.cuda.is_bf16_supported(including_emulation=False):
        return None
    return torch.autocast("cuda", torch.bfloat16)


def initial_weights(
    sizes: dict[str, tuple[int, ...]], seed: int, offsets: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Weights to begin with, by name.

    ``offsets`` (outputs,) is what all members put out at first: the classes' shares as margins, so
    that a rare class need not be unlearned. Matrices are drawn uniformly with Kaiming He's
    deviation ("Delving deep into rectifiers", 2015), signs as in TabM.
    """
    rng = np.random.default_rng(seed)
    made: dict[str, npt.NDArray[np.floating]] = {}
    for name, size in sizes.items():
        if name == "vectors":
            made[name] = 0.3 * rng.standard_normal(size)
        elif name == "signs":
            made[name] = rng.choice([-1.0, 1.0], size)
        elif name.endswith("_scale"):
            made[name] = np.ones(size)
        elif name == "head_offset":
            made[name] = np.broadcast_to(offsets, size)
        elif name == "first_offset":
            made[name] = rng.uniform(-0.3, 0.3, size)
        elif name == "wide" or name.endswith("_offset"):
            made[name] = np.zeros(size)
        else:
            inputs = size[-2]
            spread = {"first": 3.0, "head": 1.0}.get(name, 3.0) / max(1, inputs)
            made[name] = rng.uniform(-1.0, 1.0, size) * np.sqrt(spread)
    return {name: np.asarray(value, dtype=np.float32) for name, value in made.items()}


def first_offsets(rows: TrainingRows) -> npt.NDArray[np.float64]:
    """The margins of the classes' weighted shares (outputs,); 0 for regression."""
    if rows.classes == 0:
        return np.zeros(1)
    counts = np.bincount(rows.y, weights=rows.weight, minlength=rows.classes) + 0.5
    margins = np.log(counts / counts.sum())
    return np.asarray(margins[1:] - margins[:1] if rows.classes == 2 else margins)
