"""Tail probabilities and quantiles, in plain Python.

Accurate to about ten digits where a p-value matters; the tests hold them against SciPy, which is
not needed to run.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, log1p, pi, sqrt

_TINY = 1e-300
_STEPS = 500
_ENOUGH = 1e-15


def kolmogorov_tail(x: float) -> float:
    """P(K > x) of Kolmogorov's distribution: of sqrt(nm / (n + m)) times the KS distance.

    Marsaglia, Tsang and Wang, *J. Stat. Softw.* 8 (2003) 18: two series, each where it is quick.
    """
    if x <= 0:
        return 1.0
    if x < 1.0:
        below: float = sum(exp(-((2 * k - 1) ** 2) * pi * pi / (8 * x * x)) for k in range(1, 6))
        return max(0.0, 1.0 - sqrt(2 * pi) / x * below)
    above = sum((-1) ** (k - 1) * exp(-2 * k * k * x * x) for k in range(1, 8))
    return float(min(1.0, max(0.0, 2 * above)))


def chi_square_tail(x: float, freedom: float) -> float:
    """P(X > x) of a chi-squared variable: the regularised upper incomplete gamma function."""
    if x <= 0:
        return 1.0
    shape, at = freedom / 2, x / 2
    front = exp(-at + shape * log(at) - lgamma(shape))
    if at < shape + 1:
        return max(0.0, 1.0 - front * _gamma_series(shape, at))
    return min(1.0, front * _gamma_fraction(shape, at))


def _gamma_series(shape: float, at: float) -> float:
    term = total = 1 / shape
    for step in range(1, 10 * _STEPS):
        term *= at / (shape + step)
        total += term
        if term < total * _ENOUGH:
            break
    return total


def _gamma_fraction(shape: float, at: float) -> float:
    """Lentz' continued fraction (*Numerical Recipes*, 6.2)."""
    b = at + 1 - shape
    c, d = 1 / _TINY, 1 / b
    found = d
    for step in range(1, 10 * _STEPS):
        a = -step * (step - shape)
        b += 2
        d = 1 / _apart(a * d + b)
        c = _apart(b + a / c)
        found *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return found


@lru_cache(maxsize=4096)
def student_quantile(share: float, freedom: float) -> float:
    """The t below which ``share`` (0.5 to 1) of Student's distribution lies.

    By Newton's method, and by halving where that leaves what is known to hold it.
    """
    low, high = 0.0, 1.0
    while _student_tail(high, freedom) > 1 - share and high < 1e12:
        low, high = high, 2 * high
    t = (low + high) / 2
    for _ in range(100):
        over = _student_tail(t, freedom) - (1 - share)
        low, high = (t, high) if over > 0 else (low, t)
        density = _student_density(t, freedom)
        following = t + over / density if density > 0 else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - t) <= _ENOUGH * t:
            break
        t = following
    return following


def _student_density(t: float, freedom: float) -> float:
    size = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * pi)
    found: float = size * (1 + t * t / freedom) ** (-(freedom + 1) / 2)
    return found


def _student_tail(t: float, freedom: float) -> float:
    """P(T > t) for t at least 0."""
    return 0.5 * _beta_share(freedom / 2, 0.5, freedom / (freedom + t * t))


def _beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function (*Numerical Recipes*, 6.4)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    found = d
    for step in range(1, _STEPS):
        for term in (
            step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
            -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
        ):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return found


def _apart(value: float) -> float:
    """A divisor that is not 0."""
    return value if abs(value) > _TINY else _TINY
