"""Algorithms made up for the tests of the search: quick, and as good as a parameter says."""

import time

import numpy as np

from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.port import ALL_TASKS
from ratchet.training.algorithms.space import Dimension
from ratchet.training.deadline import NEVER
from ratchet.training.fitted import Fitted

SIGNAL = 0
"""The column of the matrix that the score follows."""


class Made:
    """Scores follow one column; the closer ``level`` is to ``best``, the less noise is in them."""

    name = "made"
    library = "numpy"
    extra = ""
    rounds_parameter = None
    tasks = ALL_TASKS
    interruptible = True
    continues = False
    best = 0.3
    seconds = 0.0
    configurations = ()

    def check(self, params):
        return dict(params)

    def encoding(self, task, rows, features):
        return Encoding(categories="codes", missing="impute", scale=True)

    def defaults(self, task, rows, features):
        return {"level": 0.9, "other": 1.0}

    def rounds(self, task, rows, features):
        return None

    def space(self, task, rows, features):
        return (Dimension("level", 0.0, 1.0), Dimension("other", 0.1, 10.0, log=True))

    def portfolio(self, task, rows, features):
        return self.configurations

    def fit(self, rows, *, params, seed, threads, validation, deadline=NEVER, start=None):
        if self.seconds:
            self.wait(deadline)
        off = abs(params["level"] - self.best)

        def score(X):
            rng = np.random.default_rng(int(1e6 * off) + len(X))
            noisy = X[:, SIGNAL] + 4 * off * rng.normal(size=len(X))
            if rows.classes == 0:
                return noisy
            return 1 / (1 + np.exp(-noisy))

        return Fitted(self.name, "sklearn", None, dict(params), rows.classes, score)

    def wait(self, deadline):
        ends = time.monotonic() + self.seconds
        while time.monotonic() < ends:
            time.sleep(0.005)
            deadline.check()
            if deadline.over:
                return

    def save(self, fitted):
        return None


class Slow(Made):
    """Takes long for everything, but can be interrupted."""

    name = "slow"
    seconds = 2.0


class Steady(Made):
    """A little time for every fit, so that a few dozen trials take seconds."""

    name = "steady"
    seconds = 0.02


class Poor(Made):
    """Never any good, and cheap."""

    name = "poor"
    best = 9.0


class Stubborn(Made):
    """Takes long and cannot be interrupted."""

    name = "stubborn"
    interruptible = False
    seconds = 30.0

    def wait(self, deadline):
        time.sleep(self.seconds)


class Wide(Made):
    """Takes time in proportion to its rows."""

    name = "wide"

    def fit(self, rows, *, deadline=NEVER, **more):
        self.seconds = len(rows.y) * 1e-5
        return super().fit(rows, deadline=deadline, **more)


class Dear(Poor):
    """Never any good, and costs a lot."""

    name = "dear"
    seconds = 0.4


class Broken(Made):
    """Never makes a model."""

    name = "broken"

    def fit(self, rows, **more):
        raise ValueError("it never works")
