"""What a model version was made of, and what serving it needs."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.packaging.scorers import Kind

_RUNTIMES: dict[Kind, tuple[str, ...]] = {
    "onnx": ("onnxruntime",),
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "numpy": (),
}
_TRAINED_WITH = (
    "numpy",
    "polars",
    "scikit-learn",
    "lightgbm",
    "xgboost-cpu",
    "xgboost",
    "torch",
    "onnx",
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything the model depends on, and nothing that changes from day to day.

    There is no time, run, host or path in it: the same inputs give the same bundle.

    Attributes:
        project: the project's name.
        algorithm: what trained it, or ``ensemble``.
        params: JSON values; of an ensemble each member's under its name.
        seed: of everything random.
        snapshot: table, version, rows and digest of the data.
        config_digest: of the settings it depends on.
        code_version: Ratchet's version, and the project's own code where it has one.
        libraries: library to version, and ``python``.
    """

    project: str
    algorithm: str
    params: Mapping[str, Any]
    seed: int
    snapshot: Mapping[str, Any]
    config_digest: str
    code_version: str
    libraries: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The metadata as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Metadata:
        """The metadata that ``to_json`` wrote; what it does not know is left out."""
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


def runtime_requirements(kinds: Iterable[Kind], *, derives: bool) -> tuple[str, ...]:
    """Lines ``name==version`` that serving a model needs here, sorted.

    Args:
        kinds: the forms of its members (``Composition.kinds``).
        derives: whether a recipe computes features by expressions or functions.
    """
    runtimes = [name for kind in kinds for name in _RUNTIMES[kind]]
    wanted = ["ratchet-ml", "numpy", *runtimes, *(["polars"] if derives else [])]
    return tuple(sorted(f"{name}=={found}" for name, found in installed(wanted).items()))


def training_libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that training may have used."""
    return {"python": platform.python_version(), **installed(("ratchet-ml", *_TRAINED_WITH))}


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of ``names`` that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name == "ratchet-ml":  # run from a source tree
                from ratchet import __version__

                found[name] = __version__
    return found
