"""One look for every plot: page, axes, notes. The only module that makes matplotlib figures.

Objects only, no pyplot: no global state, no window, safe in threads. Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from ratchet.evaluation.themes import Theme

WIDTH, HEIGHT, DPI = 7.0, 5.0, 100
DASHES = ("-", "--", "-.", ":", "-", "--", "-.")
LEFT, RIGHT, BOTTOM, TOP = 0.105, 0.965, 0.115, 0.845
PERCENT = ((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), ("0%", "20%", "40%", "60%", "80%", "100%"))
CHANCE = (0, (4, 3))
"""The dashes of a line of comparison."""

Rect = tuple[float, float, float, float]


class Page:
    """A figure, 700 pixels wide, with its title and subtitle at the top left."""

    def __init__(self, title: str, subtitle: str, theme: Theme) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.theme = theme
        self.figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=theme.page)
        self._canvas = FigureCanvasAgg(self.figure)
        top = HEIGHT - 0.13
        title = escape(title)
        self._fit(
            self.figure.text(
                0.025, top / HEIGHT, title, size=14, weight="bold", color=theme.ink, va="top"
            )
        )
        self._fit(
            self.figure.text(
                0.025, (top - 0.32) / HEIGHT, escape(subtitle), size=10, color=theme.soft, va="top"
            )
        )

    def _fit(self, text: Any) -> None:
        """Make a line that is too long for the page smaller, down to three quarters."""
        room = (WIDTH - 0.025 * WIDTH - 0.12) * DPI
        least = 0.75 * text.get_size()
        # Widths grow in steps, as letters are set on whole pixels.
        while text.get_size() > least and self.width_of(text) > room:
            text.set_size(text.get_size() - 0.25)

    def width_of(self, text: Any) -> float:
        """A text's width in pixels."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            return float(text.get_window_extent(self._canvas.get_renderer()).width)

    def measure(self, texts: list[str], size: float) -> float:
        """The width of the widest of texts, as a share of the page."""
        widest = 0.0
        for words in texts:
            text = self.figure.text(0, 0, words, size=size)
            widest = max(widest, self.width_of(text))
            text.remove()
        return widest / (WIDTH * DPI)

    def add_axes(self, x_label: str, y_label: str, rect: Rect | None = None) -> Any:
        """Axes with a light grid and only the two lines that carry numbers.

        Args:
            x_label: what runs to the right; empty for none.
            y_label: what runs upwards; empty for none.
            rect: left, bottom, width, height as shares of the page.
        """
        theme = self.theme
        axes = self.figure.add_axes(rect or (LEFT, BOTTOM, RIGHT - LEFT, TOP - BOTTOM))
        axes.set_facecolor(theme.page)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.soft)
            spine.set_linewidth(0.8)
        axes.tick_params(colors=theme.soft, labelsize=9.5, length=3, width=0.8)
        axes.set_xlabel(x_label, size=10.5, color=theme.ink)
        axes.set_ylabel(y_label, size=10.5, color=theme.ink)
        axes.grid(True, color=theme.rule, linewidth=0.8)
        axes.set_axisbelow(True)
        return axes

    def unit_axes(self, x_label: str, y_label: str, rect: Rect | None = None) -> Any:
        """Axes from 0 to 1 both ways, in percent."""
        axes = self.add_axes(x_label, y_label, rect)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
        axes.set_xticks(*PERCENT)
        axes.set_yticks(*PERCENT)
        return axes

    def list_axes(self, names: list[str], x_label: str, *, least: int = 6) -> Any:
        """Axes with one line for each name, the first at the top: at y = lines - 1 - place.

        Args:
            names: of the lines.
            x_label: what runs to the right.
            least: lines there is room for at least, so that one bar is no wall.
        """
        shown = short_names(names)
        left = 0.045 + self.measure(shown, 9.5)
        axes = self.add_axes(x_label, "", (left, BOTTOM, RIGHT - left, TOP - BOTTOM))
        lines = max(len(shown), least)
        axes.set_yticks([lines - 1 - place for place in range(len(shown))], shown)
        axes.tick_params(axis="y", length=0, labelsize=9.5, labelcolor=self.theme.ink)
        axes.set_ylim(-0.7, lines - 0.3)
        axes.grid(False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=7)
        axes.xaxis.set_major_formatter(short_number)
        return axes

    def add_legend(self, axes: Any, place: str, *, columns: int = 1, title: str = "") -> None:
        """A legend without a frame's weight, readable over a line."""
        legend = axes.legend(
            loc=place,
            fontsize=9.5,
            frameon=True,
            framealpha=0.9,
            facecolor=self.theme.page,
            edgecolor="none",
            ncols=columns,
            handlelength=2.2,
            labelcolor=self.theme.ink,
            title=title or None,
        )
        legend.get_title().set_color(self.theme.soft)
        legend.get_title().set_fontsize(9)
        legend.set_zorder(5)

    def add_note(
        self, axes: Any, text: str, at: tuple[float, float], towards: tuple[float, float]
    ) -> None:
        """A dot at ``at`` and its text, shifted by ``towards`` in points."""
        theme = self.theme
        axes.plot([at[0]], [at[1]], "o", color=theme.orange, markersize=8, mec=theme.page, zorder=6)
        axes.annotate(
            text,
            at,
            xytext=towards,
            textcoords="offset points",
            size=9.5,
            color=theme.ink,
            va="center",
            ha="left" if towards[0] >= 0 else "right",
            linespacing=1.35,
            arrowprops={"arrowstyle": "-", "color": theme.soft, "linewidth": 0.8, "shrinkB": 5},
            bbox={
                "boxstyle": "round,pad=0.25",
                "facecolor": theme.page,
                "edgecolor": "none",
                "alpha": 0.9,
            },
            zorder=6,
        )

    def to_png(self) -> bytes:
        """The page as PNG bytes."""
        out = io.BytesIO()
        with warnings.catch_warnings():
            # A label in a script that the font lacks is drawn as boxes: no reason to warn.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            for axes in self.figure.axes:
                self._settle(axes)
            self._canvas.print_png(out, metadata={"Software": None})
        return out.getvalue()

    def _settle(self, axes: Any) -> None:
        """Keep an axes' numbers and labels on the page, however long they are."""
        renderer = self._canvas.get_renderer()
        box = axes.get_window_extent(renderer)
        for label, room in ((axes.xaxis.label, box.width), (axes.yaxis.label, box.height)):
            extent = label.get_window_extent(renderer)
            long = extent.width if label is axes.xaxis.label else extent.height
            if long > room:
                label.set_size(label.get_size() * max(0.7, room / long))
        over = 8 - axes.get_tightbbox(renderer).x0
        if over > 0 and len(self.figure.axes) == 1:
            left, bottom, width, height = axes.get_position().bounds
            shift = over / (WIDTH * DPI)
            axes.set_position((left + shift, bottom, width - shift, height))


def plain(value: object, longest: int = 22) -> str:
    """A label as text for a plot: one line, not too long, and a dollar sign that stays one."""
    text = " ".join(str(value).split()) or '""'
    if len(text) > longest:
        text = text[: longest - 1].rstrip() + "…"
    return escape(text)


def name_of(value: object, longest: int = 30) -> str:
    """A column's name for a plot; of a long one both ends, where names tend to differ."""
    text = " ".join(str(value).split()) or '""'
    if len(text) > longest:
        head = longest // 2
        text = f"{text[:head].rstrip()}…{text[head + 1 - longest :].lstrip()}"
    return escape(text)


def short_names(names: Sequence[object], longest: int = 30) -> list[str]:
    """Names for one list: where short forms would be alike, each shows where it differs."""
    shown = [name_of(name, longest) for name in names]
    texts = [" ".join(str(name).split()) for name in names]
    for form in {form for form in shown if shown.count(form) > 1}:
        places = [place for place, other in enumerate(shown) if other == form]
        alike = zip(*(texts[place] for place in places), strict=False)
        start = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, alike))
        head = max(2, longest // 4)
        for place in places:
            rest = texts[place][max(start, head) :]
            room = longest - head - 1
            tail = rest if len(rest) <= room else f"{rest[: room - 1]}…"
            shown[place] = escape(f"{texts[place][:head]}…{tail}")
    return shown


def short_number(value: float, _place: int = 0) -> str:
    """A number on an axis: 20k and 1.5M where it is large."""
    size = abs(value)
    if size >= 1e9:
        return f"{value:.3g}"
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    if size >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


def escape(text: str) -> str:
    """Text in which a dollar sign stays one."""
    return text.replace("\\$", "$").replace("$", r"\$")
