"""What tuning found, as text for the screen, as a file of settings and as curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posetrack_app import config
from posetrack_app.config import Settings
from posetrack_app.errors import OutputError
from posetrack_app.evaluation.tuning import Figures, Goal, Search, Value, setting

__all__ = ["TITLES", "as_text", "as_toml", "draw", "figures_text"]

TITLES: Mapping[Goal, str] = {"map": "mAP", "mota": "MOTA", "hota": "HOTA"}

_COLUMNS = 4
_LINE, _MARK, _GRID = "#33608c", "#c8502a", "#d8d8d8"


def as_text(found: Search) -> str:
    """A line for each setting: where it began, where it ended, what that gained, and how much it matters."""
    wide = max(len(name) for name in found.gains)
    lines = [f"{'setting':<{wide}}  {'before':>11} {'tuned':>11} {'gain':>6} {'matters':>8}"]
    for name, gain in found.gains.items():
        before, tuned = _cell(setting(found.start, name)), _cell(setting(found.best, name))
        figures = [figure for _, figure in found.curves.get(name, [])]
        matters = f"{max(figures) - min(figures):.1f}" if figures else "untried"
        edge = "  at the edge of what was tried" if gain and _at_edge(found, name) else ""
        lines.append(
            f"{name:<{wide}}  {before:>11} {tuned:>11} {f'{gain:+.1f}' if gain else '-':>6} {matters:>8}{edge}"
        )
    if not found.complete:
        lines.append("the budget ended before the search did: --budget gives it more")
    return "\n".join(lines)


def figures_text(rows: Mapping[str, Figures]) -> str:
    """The three figures of each row, in percent."""
    wide = max(map(len, rows))
    lines = [f"{'':<{wide}}  " + " ".join(f"{title:>6}" for title in TITLES.values())]
    for name, figures in rows.items():
        lines.append(f"{name:<{wide}}  " + " ".join(f"{figures.of(goal):>6.1f}" for goal in TITLES))
    return "\n".join(lines)


def as_toml(found: Search) -> str:
    """The settings as a file for `--config`: what was tuned, and what else is not as shipped."""
    sections: dict[str, list[str]] = {}
    for name in sorted(config.names()):
        value = setting(found.best, name)
        if name in found.gains or value != setting(Settings(), name):
            section, _, key = name.partition(".")
            gain = f"  # {found.gains[name]:+.1f}" if found.gains.get(name) else ""
            sections.setdefault(section, []).append(f"{key} = {json.dumps(value)}{gain}")
    blocks = ["\n".join([f"[{section}]", *lines]) for section, lines in sections.items()]
    head = f"# Tuned for {TITLES[found.goal]}; what a setting gained, in percent, stands beside it."
    return "\n\n".join([head, *blocks]) + "\n"


def draw(path: Path, found: Search) -> None:
    """Write the curves of all settings as an SVG: the figure over the values of each, the others as tuned.

    Raises:
        OutputError: it cannot be written.
    """
    names = list(found.curves)
    rows = -(-max(len(names), 1) // _COLUMNS)
    # Equal searches give equal files; text stays text.
    with rc_context({"svg.hashsalt": "tune", "svg.fonttype": "none", "font.size": 8, "font.family": "sans-serif"}):
        figure = Figure(figsize=(2.6 * _COLUMNS, 1.9 * rows + 0.5), layout="constrained")
        axes: list[Axes] = list(figure.subplots(rows, _COLUMNS, sharey=True, squeeze=False).flat)
        figure.suptitle(f"{TITLES[found.goal]}, percent, over the values of each setting (ring: taken, dashed: before)")
        for axis, name in zip(axes, names, strict=False):
            _panel(axis, name, found)
        for axis in axes[len(names) :]:
            axis.remove()
        try:
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def _panel(axis: Axes, name: str, found: Search) -> None:
    curve, taken, before = found.curves[name], setting(found.best, name), setting(found.start, name)
    words = [_cell(value) for value, _ in curve if isinstance(value, bool | str)]  # at 0, 1, 2, ...
    at = {value: float(place if words else value) for place, (value, _) in enumerate(curve)}
    axis.plot(list(at.values()), [figure for _, figure in curve], color=_LINE, marker=".", markersize=5, linewidth=1.2)
    axis.axvline(at[before] if words else float(before), color=_GRID, linestyle="--", linewidth=1)
    ring = [(at[value], figure) for value, figure in curve if value == taken]
    axis.plot(*zip(*ring, strict=True), color=_MARK, marker="o", markersize=8, fillstyle="none", linestyle="none")
    axis.set_title(name, fontsize=8)
    axis.grid(axis="y", color=_GRID, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)
    if words:
        axis.set_xticks(list(at.values()), words)
        axis.set_xlim(-0.5, len(words) - 0.5)


def _at_edge(found: Search, name: str) -> bool:
    """Whether a number ended where its curve does: more may be gained beyond."""
    values = [value for value, _ in found.curves[name]]
    taken = setting(found.best, name)
    return not isinstance(taken, bool | str) and taken in (values[0], values[-1]) and taken != 0


def _cell(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:g}"
