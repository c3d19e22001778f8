"""The pages of an estimate's errors: against the truth, against the estimate, their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation import canvas
from ratchet.evaluation.canvas import CHANCE, Page, short_number
from ratchet.evaluation.residual_points import (
    clip_range,
    distribution_points,
    estimate_points,
    residual_points,
    spread_rows,
)
from ratchet.evaluation.scored import Scored
from ratchet.evaluation.themes import Theme

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics

Floats = npt.NDArray[np.float64]
_MOST_DOTS = 3000


def estimate_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """True values against estimates, with the mean of each bin of estimates."""
    data = estimate_points(scored, metrics.confidence)
    bins, estimates = data["bins"], scored.proba[:, 0]
    r2 = metrics["r2"]
    title = "Estimates and true values" + ("" if r2.value is None else f": R² {r2.value:.3f}")
    page = Page(
        title,
        f"RMSE {_number(metrics['rmse'].value)}  ·  MAE {_number(metrics['mae'].value)}  ·  "
        f"bars are means of bins with {metrics.confidence * 100:g}% intervals{_sampled(scored)}",
        theme,
    )
    axes = _axes(page, "Estimate", "True value")
    x, y = clip_range(estimates), clip_range(scored.y)
    low, high = min(x[0], y[0]), max(x[1], y[1])
    _scatter(axes, theme, estimates, scored.y)
    axes.plot([low, high], [low, high], color=theme.soft, linewidth=1.1, linestyle=CHANCE)
    middle = np.array(bins["happened"])
    axes.errorbar(
        bins["promised"],
        middle,
        yerr=(middle - np.array(bins["low"]), np.array(bins["high"]) - middle),
        color=theme.orange,
        elinewidth=1.6,
        capsize=3,
        marker="o",
        markersize=6,
        markeredgecolor=theme.page,
        linewidth=0,
        zorder=4,
    )
    _limit(axes, x, y)
    _say_outside(axes, theme, estimates, scored.y)
    return page


def residual_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """True value less estimate against the estimate, with the band of four fifths of the rows."""
    bins = residual_points(scored)["bins"]
    estimates, residuals = scored.proba[:, 0], -scored.errors
    page = Page(
        f"Errors by estimate: half are below {_number(metrics['median_ae'].value)}",
        f"above 0 the true value is higher than estimated  ·  band: 80% of the rows of a bin"
        f"{_sampled(scored)}",
        theme,
    )
    axes = _axes(page, "Estimate", "True value less estimate")
    _scatter(axes, theme, estimates, residuals)
    axes.axhline(0, color=theme.soft, linewidth=1.1, linestyle=CHANCE)
    if len(bins["at"]) > 1:
        style = {"color": theme.orange, "linewidth": 0}
        axes.fill_between(bins["at"], bins["low"], bins["high"], alpha=0.2, zorder=3, **style)
    axes.plot(bins["at"], bins["middle"], color=theme.orange, linewidth=2, marker="o", markersize=4)
    _limit(axes, clip_range(estimates), clip_range(residuals))
    _say_outside(axes, theme, estimates, residuals)
    return page


def distribution_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """How errors are spread, beside a normal distribution of the same mean and width."""
    data = distribution_points(scored, points=400)
    page = Page(
        f"Spread of the errors: mean {_number(data['mean'])}, deviation {_number(data['sd'])}",
        f"true value less estimate of {metrics.rows:,} rows  ·  dashed: a normal distribution with "
        "the same middle half",
        theme,
    )
    height = canvas.TOP - canvas.BOTTOM
    axes = page.add_axes("True value less estimate", "Rows", (0.105, 0.115, 0.345, height))
    _draw_counts(axes, theme, data)
    right = page.add_axes("Quantile of a normal", "", (0.6, 0.115, 0.365, height))
    right.set_ylabel("Quantile of the errors", size=10.5, color=theme.ink)
    normal, seen = np.array(data["quantiles"]["x"]), np.array(data["quantiles"]["y"])
    line = data["centre"] + data["width"] * normal
    right.plot(normal, line, color=theme.orange, linewidth=1.6, linestyle=CHANCE)
    right.plot(normal, seen, "o", color=theme.blue, markersize=3.5, mec="none")
    low, high = clip_range(-scored.errors)
    _limit(right, (normal[0], normal[-1]), (min(low, line[0]), max(high, line[-1])))
    outside = int(((-scored.errors < low) | (-scored.errors > high)).sum())
    if outside:
        text = f"{outside:,} rows lie outside"
        style = {"size": 9, "color": theme.soft, "ha": "right", "transform": right.transAxes}
        right.text(0.99, 0.01, text, **style)
    _format(right, bins=5)
    return page


def _draw_counts(axes: Any, theme: Theme, data: Any) -> None:
    """The histogram, and what a normal distribution would give."""
    edges, rows = np.array(data["histogram"]["edges"]), np.array(data["histogram"]["rows"])
    axes.bar(edges[:-1], rows, np.diff(edges) * 0.92, align="edge", color=theme.blue)
    centre, width = data["centre"], data["width"]
    if width > 0:
        at = np.linspace(edges[0], edges[-1], 200)
        density = np.exp(-0.5 * ((at - centre) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        expected = density * rows.sum() * (edges[1] - edges[0])
        axes.plot(at, expected, color=theme.orange, linewidth=1.6, linestyle=CHANCE)
    _format(axes, bins=4)


def _axes(page: Page, x_label: str, y_label: str) -> Any:
    left = 0.13
    rect = (left, canvas.BOTTOM, canvas.RIGHT - left, canvas.TOP - canvas.BOTTOM)
    axes = page.add_axes(x_label, y_label, rect)
    _format(axes, bins=6)
    return axes


def _format(axes: Any, *, bins: int) -> None:
    axes.locator_params(axis="x", nbins=bins)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(short_number)


def _scatter(axes: Any, theme: Theme, x: Floats, y: Floats) -> None:
    """Dots, of many rows some; fainter the more there are."""
    rows = spread_rows(x, _MOST_DOTS)
    alpha = float(np.clip(60 / np.sqrt(len(rows) + 1) / 3, 0.18, 0.75))
    size = 22 if len(rows) < 500 else 11
    axes.scatter(x[rows], y[rows], s=size, color=theme.blue, alpha=alpha, linewidths=0)


def _limit(axes: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    for setter, (low, high) in ((axes.set_xlim, x), (axes.set_ylim, y)):
        space = 0.03 * (high - low) or 0.5
        setter(low - space, high + space)


def _say_outside(axes: Any, theme: Theme, x: Floats, y: Floats) -> None:
    """How many rows lie beyond the axes, where some do."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    outside = int(((x < left) | (x > right) | (y < low) | (y > high)).sum())
    if outside:
        text = f"{outside:,} of {len(x):,} rows lie outside the picture"
        axes.text(0.99, 0.01, text, size=9, color=theme.soft, ha="right", transform=axes.transAxes)


def _sampled(scored: Scored) -> str:
    if scored.rows <= _MOST_DOTS:
        return ""
    return f"  ·  {_MOST_DOTS:,} of {scored.rows:,} rows shown"


def _number(value: float | None) -> str:
    """A number in a title: four digits that count."""
    if value is None:
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return f"{float(f'{value:.4g}'):,}".removesuffix(".0")
    return f"{value:.3g}"
