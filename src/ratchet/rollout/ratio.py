"""Whether entities came to the two arms of an experiment in the ratio that was asked for.

Where they did not, something decides who is seen (a version that fails, a client that asks again,
a log that loses rows), and the arms are not comparable: no result is read then.

Sources: Lindon and Malek, "Anytime-Valid Inference For Multinomial Count Data", NeurIPS 2022, for
the e-value; Fabijan et al., KDD 2019, for the level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL: Final = 0.001
"""The chance that a sound experiment is ever blocked by the e-value, and again by the last look."""

_SPREAD = 100.0
"""Entities of each arm that the alternative, a beta distribution around the share, is worth.

It expects splits that are some percent off, as lost rows make them; gross ones are found at once.
"""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What came, next to what was to come.

    Attributes:
        a, b: entities.
        share: that b was to have, 0 to 1.
        log_e: the highest that the logarithm of the e-value ever was.
        p: of the chi-squared test on all entities; None before the last look.
    """

    a: int
    b: int
    share: float
    log_e: float
    p: float | None = None

    @property
    def mismatch(self) -> bool:
        """Whether the ratio is not the one that was asked for."""
        return self.log_e > -np.log(LEVEL) or (self.p is not None and self.p < LEVEL)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "a": self.a,
            "b": self.b,
            "share": self.share,
            "log_e": round(self.log_e, 4),
            "p": self.p,
            "mismatch": bool(self.mismatch),
        }


def ratio_path(b: npt.ArrayLike, n: npt.ArrayLike, share: float) -> Floats:
    """The logarithm of the e-value after each count, (k,).

    While each entity comes to b with probability ``share``, the e-value ever exceeds 1/a with a
    probability of at most a. It is the likelihood of the counts under a Dirichlet mixture (of two:
    beta) against that under ``share``.

    Args:
        b: entities of b so far, (k,).
        n: of both.
    """
    from scipy.special import betaln

    ours, every = np.asarray(b, float), np.asarray(n, float)
    others = every - ours
    prior = 2.0 * _SPREAD * np.array([share, 1.0 - share])
    mixture = betaln(prior[0] + ours, prior[1] + others) - betaln(*prior)
    found: Floats = mixture - ours * np.log(share) - others * np.log1p(-share)
    return found


def check_ratio(of_b: npt.ArrayLike, share: float, *, last: bool) -> Ratio:
    """Compare the entities that came with the share that was asked for.

    Args:
        of_b: of each entity in the order they came, whether it is b's, (n,).
        share: of b, between 0 and 1.
        last: whether no more will come: then the chi-squared test is made too, once.
    """
    new = np.asarray(of_b, bool)
    n, b = len(new), int(new.sum())
    if not n:
        return Ratio(0, 0, share, 0.0)
    path = ratio_path(np.cumsum(new), np.arange(1, n + 1), share)
    p = None
    if last:
        from scipy.stats import chi2

        p = float(chi2.sf((b - n * share) ** 2 / (n * share * (1.0 - share)), 1))
    return Ratio(n - b, b, share, float(max(path.max(), 0.0)), p)
