"""A neural network for tables (PyTorch): a small ensemble that shares its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ratchet.data.task import Task, TaskKind
from ratchet.errors import ConfigError
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.algorithms.torch_checkpoint import Checkpoint, fit_key
from ratchet.training.algorithms.torch_inputs import learn_inputs
from ratchet.training.algorithms.torch_network import Network, NetworkScorer, Shape
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.progress import UNSEEN, Progress
from ratchet.training.targets import standard_of

CHECKPOINT_MINUTES: Final = "checkpoint_minutes"
PARAMETERS = (
    Parameter("epochs", "integer", low=1, aliases=("max_epochs", "n_epochs", "num_epochs")),
    Parameter(EARLY_STOPPING, "integer", low=0, aliases=("patience",)),
    Parameter("learning_rate", "number", low=0, above=True, aliases=("lr",)),
    Parameter("weight_decay", "number", low=0),
    Parameter("dropout", "number", low=0, high=0.9),
    Parameter("batch_size", "integer", low=1),
    Parameter("members", "integer", low=1, high=64),
    Parameter("width", "integer", low=4, high=2048, aliases=("hidden_size",)),
    Parameter("depth", "integer", low=1, high=8),
    Parameter("bins", "integer", low=1, high=256),
    Parameter("vector_size", "integer", low=1, high=256, aliases=("embedding_size",)),
    Parameter("device", "choice", choices=("auto", "cpu", "cuda")),
    Parameter(CHECKPOINT_MINUTES, "number", low=0),
)
CONTINUED_SHARE, CONTINUED_RATE = 0.25, 0.5
"""Going on from an earlier model takes this share of the epochs, at this share of the rate."""


class Torch:
    """A multilayer perceptron whose members share their weights (``torch_network``).

    On a processor the same rows, parameters, seed and threads give the same model to the bit,
    interrupted or not; on a GPU sums are added in any order, and the last digits differ.
    """

    name: ClassVar[str] = "torch"
    library: ClassVar[str] = "torch"
    extra: ClassVar[str] = "torch"
    rounds_parameter: ClassVar[str | None] = "epochs"
    tasks: ClassVar[frozenset[TaskKind]] = frozenset({"binary", "multiclass", "regression"})
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    follows: ClassVar[bool] = True
    """Its ``fit`` takes ``progress``."""

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under their own names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """Raw numbers and category codes, missing values left missing: it encodes inside."""
        return Encoding(categories="codes", missing="native", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """Sixteen small members, or eight wider ones for many rows; batches grow with the rows.

        Measured on four sets of up to 12,000 rows: 16 of width 64 score as 8 of width 128 or
        better, for three quarters of the time; a decay of 1 scores better than 0.1, most where
        rows are many or a class is rare (adult: .9215 against .9207).
        """
        many = rows >= 50_000
        batch = 256
        while batch < 4096 and rows > 200 * batch:
            batch *= 2
        return {
            "epochs": 60 if rows < 100_000 else 30,
            EARLY_STOPPING: 8 if rows < 100_000 else 4,
            "learning_rate": 2e-3,
            "weight_decay": 1.0,
            "dropout": 0.2,
            "batch_size": max(16, min(batch, rows // 5)),
            "members": 8 if many else 16,
            "width": 128 if many else 64,
            "depth": 2,
            "bins": 24,
            "vector_size": 8,
            "device": "auto",
            CHECKPOINT_MINUTES: 0,
        }

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """Epochs without early stopping: what it ends after, mostly."""
        return 10 if rows < 100_000 else 8

    def space(self, task: Task, rows: int, features: int) -> Space:
        """TabM's space (Gorishniy et al. 2024, appendix C), narrowed to what a processor trains.

        There: learning rate 1e-4 to 5e-3, weight decay 1e-4 to 0.1 or none, dropout 0 to 0.5 or
        none, width 64 to 1024, 1 to 5 layers, 2 to 128 bins. More decay is searched here: 1
        scored better than 0.1 on five of seven sets.
        """
        return (
            Dimension("learning_rate", 3e-4, 5e-3, log=True),
            Dimension("weight_decay", 0.03, 5.0, log=True),
            Dimension("dropout", 0.0, 0.5),
            Dimension("width", 32, 256 if rows < 100_000 else 384, log=True, integer=True),
            Dimension("depth", 1, 4, integer=True),
            Dimension("bins", 4, 64, log=True, integer=True),
            Dimension("members", choices=(4, 8, 16)),
        )

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """A slower deeper one, a small much regularised one, and one with fine pieces.

        They span what the tuned networks of "Better by Default" (2024) and TabM (2024) differ in.
        """
        return (
            {"learning_rate": 7e-4, "depth": 3, "dropout": 0.1},
            {"width": 48, "depth": 2, "dropout": 0.3, "weight_decay": 3.0, "bins": 12},
            {"bins": 48, "width": 192, "dropout": 0.3, "learning_rate": 1e-3},
        )

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
        deadline: Deadline = NEVER,
        start: bytes | None = None,
        progress: Progress = UNSEEN,
    ) -> Fitted:
        """Train; with a folder in ``progress`` an interrupted fit goes on where it was.

        With ``start`` a quarter of the epochs are trained, at half the rate, from that model.

        Raises:
            StoppedError: the deadline passed.
            ConfigError: a GPU is asked for, and there is none.
            ValueError: ``start`` was trained on other columns or classes.
        """
        calm_openmp()
        import torch

        from ratchet.training.algorithms.torch_training import THREADS, Plan, Training

        device = torch.device(_device(str(params["device"])))
        patience = int(params.get(EARLY_STOPPING) or 0)
        watched = validation if patience else None
        shared = 1.0 if start is None else CONTINUED_SHARE
        plan = Plan(
            epochs=max(1, round(int(params["epochs"]) * shared)),
            patience=patience,
            batch=int(params["batch_size"]),
            rate=float(params["learning_rate"]) * (1.0 if start is None else CONTINUED_RATE),
            decay=float(params["weight_decay"]),
            dropout=float(params["dropout"]),
            seed=seed,
        )
        key = ""
        if progress.folder is not None:
            made_of = {name: value for name, value in params.items() if name != CHECKPOINT_MINUTES}
            facts = {"seed": seed, "threads": threads, "on": device.type, "by": torch.__version__}
            key = fit_key(rows, watched, made_of | facts, start)
        checkpoint = Checkpoint(progress.folder, key, float(params[CHECKPOINT_MINUTES]))
        with THREADS.bounded(threads):
            training = Training(
                _begin(rows, params, seed, start), rows, watched, standard_of(rows), plan, device
            )
            network, epochs = training.run(checkpoint, deadline, progress.on_epoch)
        return Fitted(
            algorithm=self.name,
            form="torch",
            model=network,
            params=dict(params),
            classes=rows.classes,
            scorer=NetworkScorer(network),
            rounds=epochs,
        )

    def save(self, fitted: Fitted) -> bytes | None:
        """The network's arrays."""
        network: Network = fitted.model
        return network.to_bytes()


def _begin(
    rows: TrainingRows, params: Mapping[str, Any], seed: int, start: bytes | None
) -> tuple[Any, Shape, Any]:
    """Inputs, shape and, with ``start``, weights to begin with."""
    if start is None:
        shape = Shape(*(int(params[name]) for name in ("members", "width", "depth", "vector_size")))
        return learn_inputs(rows, bins=int(params["bins"]), seed=seed), shape, None
    earlier = Network.from_bytes(start)
    known = (earlier.inputs.features, earlier.classes)
    if known != (rows.X.shape[1], rows.classes):
        raise ValueError(
            f"the earlier network has {known[0]} columns and {known[1]} classes, "
            f"these rows have {rows.X.shape[1]} and {rows.classes}"
        )
    return earlier.inputs, earlier.shape, earlier.weights


def _device(asked: str) -> str:
    import torch

    there = bool(torch.cuda.is_available())
    if asked == "cuda" and not there:
        raise ConfigError(
            "The network is to be trained on a GPU, and PyTorch sees none",
            why=f"PyTorch {torch.__version__} reports no CUDA device",
            fix="install a build of torch for your CUDA version, or set device to auto",
            where="training.algorithms.torch.device",
        )
    return "cuda" if there and asked != "cpu" else "cpu"
