"""Draws configurations of one candidate with Optuna's TPE, by asking and telling.

The study lives in memory: what has to outlive the process is the store's business. TPE is Bergstra,
Bardenet, Bengio & Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; multivariate,
it draws parameters jointly (Falkner, Klein & Hutter, "BOHB", ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ratchet.training.algorithms.space import Dimension, Space

DIGITS = 6
"""Significant digits of a drawn number."""

FIRST_AT_RANDOM = 8
"""Trials before TPE has anything to go on; defaults and portfolio count."""


class Tuner:
    """A study over ``space``; the same history, seed and number give the same draw."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed
        self._distributions = {item.name: _distribution(item) for item in space}
        self._study = _study()

    def ask(self, number: int) -> tuple[Any, dict[str, Any]]:
        """What to hand back with the result, and the parameters to try."""
        self._study.sampler = _sampler((self.seed * 1_000_003 + number) % 2**32)
        asked = self._study.ask(self._distributions)
        return asked, {item.name: _short(asked.params[item.name], item) for item in self.space}

    def tell(self, asked: Any, loss: float) -> None:
        """The result of what was asked; infinity: there is none."""
        import optuna

        if math.isfinite(loss):
            self._study.tell(asked, loss)
        else:
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)

    def learn(self, params: Mapping[str, Any], loss: float) -> None:
        """The result of a configuration that was not asked for, if the space has room for it."""
        import optuna

        inside = {
            item.name: _inside(params[item.name], item)
            for item in self.space
            if item.name in params
        }
        known = {name: value for name, value in inside.items() if value is not _OUTSIDE}
        if len(known) < len(self.space) or not math.isfinite(loss):
            return
        self._study.add_trial(
            optuna.trial.create_trial(value=loss, params=known, distributions=self._distributions)
        )


_OUTSIDE = object()


def _study() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=_sampler(0))


def _sampler(seed: int) -> Any:
    """A sampler of its own for every draw: then draws do not depend on how many came before."""
    import optuna

    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_startup_trials=FIRST_AT_RANDOM
    )


def _distribution(item: Dimension) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if item.choices:
        return CategoricalDistribution(item.choices)
    if item.integer:
        return IntDistribution(int(item.low), int(item.high), log=item.log)
    return FloatDistribution(item.low, item.high, log=item.log)


def _short(value: Any, item: Dimension) -> Any:
    """A number with as many digits as it deserves, for people will read it."""
    if item.choices or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), item.low), item.high)


def _inside(value: Any, item: Dimension) -> Any:
    """The nearest value of the space, or that there is none."""
    if item.choices:
        return value if value in item.choices else _OUTSIDE
    if isinstance(value, bool | str) or value is None:
        return _OUTSIDE
    near = min(max(float(value), item.low), item.high)
    return round(near) if item.integer else near
