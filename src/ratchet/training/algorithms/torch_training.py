"""Training of the network: epochs of mini-batches, an average of the weights, early stopping.

The optimiser is AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019). What
is judged and kept is the exponential average of the weights over about the last epoch (Polyak and
Juditsky, 1992): it does for a constant learning rate what a falling one does, and the number of
epochs need not be known before, so that the final fit follows the very path that was judged.

Everything random is drawn from generators of the fit's own: no global state is touched but
PyTorch's number of threads, which it keeps per process; see ``Threads``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet import clock
from ratchet.training.algorithms.torch_checkpoint import Arrays, Checkpoint
from ratchet.training.algorithms.torch_graph import (
    Flat,
    Forward,
    Source,
    first_offsets,
    initial_weights,
)
from ratchet.training.algorithms.torch_inputs import Inputs
from ratchet.training.algorithms.torch_network import Network, Shape
from ratchet.training.deadline import Deadline
from ratchet.training.fitted import TrainingRows
from ratchet.training.progress import Epoch, OnEpoch
from ratchet.training.targets import Standard

FIRST_MOMENT, SECOND_MOMENT, TINY = 0.9, 0.999, 1e-8
LARGEST_GRADIENT: Final = 1.0
JUDGED_AT_ONCE: Final = 4096
LEAST_EPOCHS, LEAST_STEPS = 3, 100
"""What is kept at least, whatever the validation rows say: where they hold next to none of a rare
class, or come from a drifted world, the loss on them may rise from the first epoch on."""
_UNDECAYED: Final = ("signs", "_scale", "_offset")


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train: ``patience`` 0 trains all ``epochs``."""

    epochs: int
    patience: int
    batch: int
    rate: float
    decay: float
    dropout: float
    seed: int


class Training:
    """One fit, epoch by epoch; ``run`` gives the network.

    Args:
        model: the inputs, shape and, to go on from, weights; without weights they are drawn.
        device: a ``torch.device``.
    """

    def __init__(
        self,
        model: tuple[Inputs, Shape, dict[str, npt.NDArray[np.float32]] | None],
        rows: TrainingRows,
        validation: TrainingRows | None,
        standard: Standard,
        plan: Plan,
        device: Any,
    ) -> None:
        import torch

        self._torch, self._plan, self._device = torch, plan, device
        inputs, shape, weights = model
        self._network = Network(inputs, shape, rows.classes, standard, weights or {})
        self._flat = Flat(shape.sizes(inputs, self._network.outputs))
        if weights is None:
            weights = initial_weights(self._flat.sizes, plan.seed, first_offsets(rows))
        self._forward = Forward(inputs, shape, rows.classes, device)
        self._source = Source(rows, standard, device)
        self._watch = None if validation is None else Source(validation, standard, device)
        begin = np.concatenate([np.ravel(weights[name]) for name in self._flat.sizes])
        self._weights = self._held(begin).requires_grad_(True)
        self._average = self._held(begin)
        self._best = self._held(begin)
        self._first, self._second = (self._held(np.zeros_like(begin)) for _ in range(2))
        plain = {name: 0.0 for name in self._flat.sizes if name.endswith(_UNDECAYED)}
        self._decay = self._held(self._flat.fill(plain, plan.decay))
        self._random = torch.Generator(device=device)
        self._batches = max(1, self._source.count // plan.batch)
        self._least = min(LEAST_EPOCHS, math.ceil(LEAST_STEPS / self._batches))
        self._epoch = self._batch = self._step = self._best_epoch = 0
        self._best_loss, self._finished = math.inf, False
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._seconds, self._began = 0.0, clock.monotonic()

    def run(
        self, checkpoint: Checkpoint, deadline: Deadline, on_epoch: OnEpoch | None
    ) -> tuple[Network, int]:
        """Train, from the checkpoint on if there is one; the network and its epochs.

        Raises:
            StoppedError: the deadline passed.
            ValueError: the weights ran away.
        """
        saved = checkpoint.load()
        if saved is not None:
            self._restore(saved)
        while not self._finished and self._epoch < self._plan.epochs:
            if not self._train_epoch(checkpoint, deadline):
                break
            epoch = self._end_epoch()
            if checkpoint.due(epoch_ended=True) or self._finished:
                checkpoint.save(self._state())
            if on_epoch is not None:
                on_epoch(epoch)
        return self._result()

    def _train_epoch(self, checkpoint: Checkpoint, deadline: Deadline) -> bool:
        """The rest of an epoch; False if the deadline ended it and what there is is to be kept."""
        rng = np.random.default_rng([self._plan.seed, self._epoch])
        parts = np.array_split(rng.permutation(self._source.count), self._batches)
        if self._batch == 0:
            self._random.manual_seed(int(rng.integers(2**62)))
            self._sums.zero_()
        while self._batch < self._batches:
            deadline.check()
            if deadline.over and self._step:
                return False
            self._train_batch(parts[self._batch])
            self._batch += 1
            if self._batch < self._batches and checkpoint.due(epoch_ended=False):
                checkpoint.save(self._state())
        return True

    def _train_batch(self, at: npt.NDArray[np.int64]) -> None:
        torch = self._torch
        X, y, weight = self._source.batch(at)
        outputs = self._forward.outputs(self._flat.views(self._weights), X, self._mask(len(at)))
        loss = self._forward.loss(outputs, y, weight)
        (gradient,) = torch.autograd.grad(loss, self._weights)
        self._step += 1
        with torch.no_grad():
            self._update(gradient)
            hits = self._forward.judge(outputs, y)[1]
            self._sums[0] += loss * len(at)
            if hits is not None:
                self._sums[1] += hits.sum()

    def _mask(self, rows: int) -> Any:
        """Which values of the first layer count, and by how much; the members share it."""
        kept = 1.0 - self._plan.dropout
        if kept == 1.0:
            return None
        mask = self._torch.empty((rows, self._network.shape.width), device=self._device)
        return mask.bernoulli_(kept, generator=self._random).div_(kept)

    def _update(self, gradient: Any) -> None:
        """One step of AdamW, its rate rising over the first half epoch, and of the average."""
        plan, step = self._plan, self._step
        gradient.mul_((LARGEST_GRADIENT / (gradient.norm() + 1e-12)).clamp(max=1.0))
        rate = plan.rate * min(1.0, step / (0.5 * self._batches + 1.0))
        self._first.lerp_(gradient, 1.0 - FIRST_MOMENT)
        self._second.mul_(SECOND_MOMENT).addcmul_(gradient, gradient, value=1.0 - SECOND_MOMENT)
        size = (self._second / (1.0 - SECOND_MOMENT**step)).sqrt_().add_(TINY)
        weights = self._weights.detach()
        weights.sub_(self._decay * weights, alpha=rate)
        weights.addcdiv_(self._first, size, value=-rate / (1.0 - FIRST_MOMENT**step))
        self._average.lerp_(weights, 1.0 / (1.0 + min(self._batches, step / 10.0)))

    def _end_epoch(self) -> Epoch:
        self._epoch, self._batch = self._epoch + 1, 0
        loss, hits = (self._sums / self._source.count).tolist()
        seen = self._judge()
        if seen is not None:
            if seen[0] < self._best_loss or self._epoch <= self._least:
                self._best_loss, self._best_epoch = seen[0], self._epoch
                self._best.copy_(self._average)
            patience = self._plan.patience
            self._finished = 0 < patience <= self._epoch - self._best_epoch
        self._finished |= self._epoch == self._plan.epochs
        classes = self._network.classes
        return Epoch(
            number=self._epoch,
            of=self._plan.epochs,
            train_loss=loss,
            validation_loss=None if seen is None else seen[0],
            train_accuracy=hits if classes else None,
            validation_accuracy=None if seen is None else seen[1],
            seconds=self._elapsed(),
        )

    def _judge(self) -> tuple[float, float | None] | None:
        """Loss and accuracy (None for regression) of the average on the validation rows."""
        if self._watch is None:
            return None
        losses, hits, total = [], [], 0.0
        with self._torch.no_grad():
            weights = self._flat.views(self._average)
            for start in range(0, self._watch.count, JUDGED_AT_ONCE):
                end = min(start + JUDGED_AT_ONCE, self._watch.count)
                X, y, weight = self._watch.batch(np.arange(start, end, dtype=np.int64))
                outputs = self._forward.outputs(weights, X, exact=True)
                loss, hit = self._forward.judge(outputs, y)
                losses.append((loss if weight is None else loss * weight).double().sum())
                total += end - start if weight is None else float(weight.double().sum())
                if hit is not None:
                    hits.append(hit.sum())
        accuracy = float(sum(hits)) / self._watch.count if hits else None
        return float(sum(losses)) / total, accuracy

    def _result(self) -> tuple[Network, int]:
        watched = self._best_epoch > 0
        chosen = (self._best if watched else self._average).cpu()
        if not bool(self._torch.isfinite(chosen).all()):
            raise ValueError("the network's weights ran away; a lower learning_rate may help")
        views = self._flat.views(chosen)
        network = self._network
        weights = {name: np.array(view.numpy()) for name, view in views.items()}
        made = Network(network.inputs, network.shape, network.classes, network.standard, weights)
        return made, self._best_epoch if watched else max(1, self._epoch)

    def _elapsed(self) -> float:
        return self._seconds + clock.monotonic() - self._began

    def _state(self) -> Arrays:
        """Everything that the rest of the training depends on."""
        vectors = {name: getattr(self, f"_{name}") for name in _VECTORS}
        arrays = {name: vector.detach().cpu().numpy() for name, vector in vectors.items()}
        numbers = [self._epoch, self._batch, self._step, self._best_epoch, int(self._finished)]
        arrays["numbers"] = np.array(numbers, dtype=np.int64)
        arrays["values"] = np.array([self._best_loss, self._elapsed()])
        arrays["random"] = self._random.get_state().numpy()
        return arrays

    def _restore(self, saved: Arrays) -> None:
        with self._torch.no_grad():
            for name in _VECTORS:
                getattr(self, f"_{name}").detach().copy_(self._torch.from_numpy(saved[name]))
        self._epoch, self._batch, self._step, self._best_epoch, finished = saved["numbers"].tolist()
        self._finished = bool(finished)
        self._best_loss, self._seconds = saved["values"].tolist()
        self._random.set_state(self._torch.from_numpy(saved["random"]))

    def _held(self, values: npt.NDArray[np.float32]) -> Any:
        return self._torch.tensor(values, dtype=self._torch.float32, device=self._device)


_VECTORS: Final = ("weights", "average", "best", "first", "second", "sums")


class Threads:
    """PyTorch's number of threads, which belongs to the whole process.

    Fits that run side by side with the same number do not disturb each other; the last one to end
    restores what was set before the first. With different numbers the latest to begin decides,
    which costs speed and not correctness.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._before = threading.Lock(), 0, 1

    @contextmanager
    def bounded(self, threads: int) -> Iterator[None]:
        """At most ``threads`` threads for each operation of the calling thread."""
        import torch

        with self._lock:
            if self._users == 0:
                self._before = torch.get_num_threads()
            self._users += 1
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    torch.set_num_threads(self._before)


THREADS: Final = Threads()
