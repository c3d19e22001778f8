"""The parameters an algorithm accepts, checked before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ratchet.config.suggest import hint
from ratchet.errors import ConfigError

Kind = Literal["integer", "number", "boolean", "choice"]

SET_ELSEWHERE = {
    "seed": "training.seed",
    "random_state": "training.seed",
    "num_threads": "training.cores",
    "n_jobs": "training.cores",
    "nthread": "training.cores",
    "class_weight": "training.class_weight",
    "is_unbalance": "training.class_weight",
    "scale_pos_weight": "training.class_weight",
}
"""Libraries' parameters that Ratchet has one setting for."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One accepted parameter: its range, and the other names it goes by.

    ``low`` and ``high`` are inclusive unless ``above`` says that ``low`` itself is too low.
    ``choices`` may be given besides numbers; ``optional`` allows ``null``.
    """

    name: str
    kind: Kind
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False
    aliases: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is of the right kind and within range."""
        if value is None:
            return self.optional
        if isinstance(value, str):
            return value in self.choices
        if isinstance(value, bool) or self.kind in ("boolean", "choice"):
            return self.kind == "boolean" and isinstance(value, bool)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return False
        if self.kind == "integer" and not isinstance(value, int):
            return False
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def describe(self) -> str:
        """What may be given, in words."""
        words = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
        parts = [words[self.kind]] if self.kind in words else []
        if math.isfinite(self.low):
            parts[-1] += f" {'above' if self.above else 'from'} {self.low:g}"
        if math.isfinite(self.high):
            parts[-1] += f" up to {self.high:g}"
        parts += [f"`{choice}`" for choice in self.choices]
        if self.optional:
            parts.append("null")
        return " or ".join(parts)


def check_parameters(
    algorithm: str, known: Iterable[Parameter], given: Mapping[str, Any]
) -> dict[str, Any]:
    """``given`` under the parameters' own names.

    Raises:
        ConfigError: a parameter is unknown, given twice under two names, or out of range.
    """
    by_name = {alias: item for item in known for alias in (item.name, *item.aliases)}
    checked: dict[str, Any] = {}
    for name, value in given.items():
        where = f"training.algorithms.{algorithm}.{name}"
        parameter = by_name.get(name)
        if parameter is None:
            raise unknown_parameter(algorithm, name, by_name)
        if parameter.name in checked:
            raise ConfigError(f"`{name}` is given twice: it is `{parameter.name}`", where=where)
        if not parameter.accepts(value):
            raise ConfigError(
                f"`{name}` of {algorithm} cannot be {value!r}",
                fix=f"give {parameter.describe()}",
                where=where,
            )
        checked[parameter.name] = value
    return checked


def unknown_parameter(algorithm: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a parameter that ``algorithm`` does not have."""
    where = f"training.algorithms.{algorithm}.{name}"
    if name in SET_ELSEWHERE:
        return ConfigError(
            f"`{name}` is not set per algorithm", fix=f"set `{SET_ELSEWHERE[name]}`", where=where
        )
    return ConfigError(f"{algorithm} has no parameter `{name}`", fix=hint(name, known), where=where)
