"""The log of a training: a table on disk that survives a kill, and a picture of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats.saving import saving

__all__ = ["FIRST_COLUMNS", "Log", "draw", "read"]

FIRST_COLUMNS = (
    "step",
    "epoch",
    "seconds",
    "samples",
    "rate",
    "data_share",
    "gradient",
    "dev_ap",
    "loss",
    "crowded",
    "joints",
)
"""Columns that every log has; after them stands one for each term of the loss."""

_COLOURS = ("#1f6fb4", "#d1495b", "#2a9d6f", "#b07c1f", "#7a5ab8", "#4a4a4a", "#1fa3a3", "#c05a9e")
_GRID = "#d8d8d8"


class Log:
    """`log.csv` in a training's folder: a row is on the disk when `add` returns."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Go on after a step; rows of later ones, which a kill left behind its last checkpoint, are cut.

        Raises:
            InputError: what is there is no log.
            OutputError: it cannot be written.
        """
        self._path = path
        rows = [row for row in read(path) if row["step"] is not None and row["step"] <= step] if step else []
        self._columns = list(rows[0]) if rows else []
        with saving(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            self._write(file, rows, head=bool(rows))

    def add(self, row: Mapping[str, float | None]) -> None:
        """Write a row; None leaves a cell empty.

        Raises:
            OutputError: it cannot be written.
        """
        head = not self._columns
        if head:
            self._columns = [*FIRST_COLUMNS, *(name for name in row if name not in FIRST_COLUMNS)]
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                self._write(file, [row], head=head)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from None

    def _write(self, file: TextIO, rows: list[Mapping[str, float | None]], *, head: bool) -> None:
        writer = csv.DictWriter(file, self._columns, lineterminator="\n")
        if head:
            writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(row.get(name)) for name in self._columns})


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def read(path: Path) -> list[Mapping[str, float | None]]:
    """The rows of a log; empty cells are None. A last line that was cut off by a kill is left out.

    Raises:
        InputError: it cannot be read, or is no log.
    """
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        return [
            {name: float(cell) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(whole.splitlines())
        ]
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise InputError(f"{path} is no log of a training: {error}") from None


def draw(rows: list[Mapping[str, float | None]], path: Path) -> None:
    """Write the picture of a log: losses, tags, AP, and what the optimizer does.

    Raises:
        OutputError: it cannot be written.
    """
    terms = [name for name in (rows[0] if rows else {}) if name not in FIRST_COLUMNS]
    heat = [name for name in terms if name.endswith("heatmap")]
    panels = {
        "loss": ["loss"],
        "heatmaps": heat,
        "tags: pull": [name for name in terms if name.endswith("pull")],
        "tags: push, mean over all pictures": [name for name in terms if name.endswith("push")],
        "AP on the dev set, percent": ["dev_ap"],
        "length of the gradient": ["gradient"],
        "learning rate": ["rate"],
        "share of time spent on data": ["data_share"],
    }
    # Equal logs give equal files; text stays text.
    with rc_context({"svg.hashsalt": "train", "svg.fonttype": "none", "font.size": 8, "font.family": "sans-serif"}):
        figure = Figure(figsize=(13, 5.6), layout="constrained")
        for axis, (title, names) in zip(figure.subplots(2, 4).flat, panels.items(), strict=True):
            _panel(axis, title, names, rows)
        with saving(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None, "Creator": None})


def _panel(axis: Axes, title: str, names: list[str], rows: list[Mapping[str, float | None]]) -> None:
    positive = True
    for name, colour in zip(names, _COLOURS * 4, strict=False):
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            steps, values = zip(*points, strict=True)
            few = len(points) < 40
            axis.plot(steps, values, color=colour, linewidth=1, marker="." if few else "", label=name)
            positive = positive and all(value is not None and value > 0 for value in values)
    if title.startswith(("loss", "heatmaps", "length", "learning", "tags: pull")) and positive and axis.lines:
        axis.set_yscale("log")
    axis.set_title(title, fontsize=8)
    axis.set_xlabel("step")
    axis.grid(color=_GRID, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)
    if len(axis.lines) > 1:
        axis.legend(fontsize=6, frameon=False)
