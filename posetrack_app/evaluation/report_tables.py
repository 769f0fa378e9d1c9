"""The tables of a report: those of the screen, and one of all joints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.average_precision import mean
from posetrack_app.evaluation.charts import Bar, bar_length
from posetrack_app.evaluation.clear_mot import Counts
from posetrack_app.evaluation.posetrack import Evaluation, Scope
from posetrack_app.evaluation.tables import (
    ACCURACY,
    IDENTITIES,
    TRACKING,
    figures,
    group_figures,
    identity_figures,
)

__all__ = ["DASH", "ORDER", "Row", "Table", "cell", "joint_table", "losses", "sequence_tables", "spoken", "total_of"]

DASH = "–"
"""Printed where there is no figure."""

ORDER = [
    JOINTS.index(name)
    for name in (
        "head_top", "neck", "nose",
        *(f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
          for side in ("right", "left")),
    )
]  # fmt: skip
"""The joints from head to foot, as places in `JOINTS`."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    name: str
    """What it is of."""

    cells: list[str]
    """Figures as printed."""

    bar: Bar | None = None
    """What MOTA loses, where the table shows it."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures and the one of all."""

    title: str
    """What the figures are."""

    first: str
    """Heading of the names."""

    columns: Sequence[str]
    """Headings of the figures."""

    rows: list[Row]
    """The parts."""

    total: Row
    """All together."""

    @property
    def has_bars(self) -> bool:
        """Whether there is a column of bars after the figures."""
        return self.total.bar is not None

    @property
    def bar_length(self) -> int:
        """Percent that a bar is long at most."""
        return bar_length(row.bar for row in [*self.rows, self.total] if row.bar is not None)


def cell(value: float) -> str:
    """A figure as printed.

    >>> cell(12.345), cell(3), cell(float("nan"))
    ('12.3', '3', '–')
    """
    if isinstance(value, int):
        return str(value)
    return f"{value:.1f}" if math.isfinite(value) else DASH


def spoken(joint: str) -> str:
    """A joint's name for people.

    >>> spoken("right_knee")
    'right knee'
    """
    return joint.replace("_", " ")


def total_of(values: Array | None) -> float:
    """The mean of all joints, which stands last; NaN without figures."""
    return math.nan if values is None else float(values[-1])


def losses(counts: Counts) -> list[Bar]:
    """Of the 15 joints and, last, their mean."""
    objects = np.where(counts.objects > 0, counts.objects, np.nan)
    shares = [100 * wrong / objects for wrong in (counts.misses, counts.false_positives, counts.switches)]
    return [Bar(*row) for row in zip(*(np.append(share, mean(share)).tolist() for share in shares), strict=True)]


def sequence_tables(evaluation: Evaluation) -> list[Table]:
    """The three tables of the screen."""
    protocol = evaluation.stamp.protocol
    of_all = {name: figures(scope) for name, scope in evaluation.sequences.items()}
    total, scope = figures(evaluation.total), evaluation.total
    whole = "all"

    def accuracy(name: str, values: dict[str, Array | None]) -> Row:
        return Row(name, [*map(cell, group_figures(values, "ap", ("precision", "recall"), protocol))])

    def tracking(name: str, values: dict[str, Array | None]) -> Row:
        row = group_figures(values, "mota", ("motp", "mot_precision", "mot_recall"), protocol)
        return Row(name, [*map(cell, row)])

    def identities(name: str, values: dict[str, Array | None], of: Scope) -> Row:
        return Row(name, [*map(cell, identity_figures(of, values))], losses(of.counts)[-1])

    return [
        Table(
            "Average precision (AP)", "Sequence", ACCURACY,
            [accuracy(name, values) for name, values in of_all.items()], accuracy(whole, total),
        ),
        Table(
            "Tracking (MOTA)", "Sequence", TRACKING,
            [tracking(name, values) for name, values in of_all.items()], tracking(whole, total),
        ),
        Table(
            "Identities and what MOTA loses", "Sequence", IDENTITIES,
            [identities(name, values, evaluation.sequences[name]) for name, values in of_all.items()],
            identities(whole, total, scope),
        ),
    ]  # fmt: skip


def joint_table(scope: Scope) -> Table:
    """All figures of each joint; last their mean, and the sums of counts."""
    names = ("ap", "precision", "recall", "mota", "motp", "hota", "deta", "assa", "idf1")
    values, bars, tracks = figures(scope), losses(scope.counts), scope.tracks
    whole = [scope.counts.switches, tracks.fragments, tracks.tracks, tracks.mostly_tracked, tracks.mostly_lost]

    def row(name: str, place: int, numbers: Iterable[int]) -> Row:
        bar = bars[place]
        shares = [math.nan if (figure := values[key]) is None else float(figure[place]) for key in names]
        wrong = [bar.misses, bar.false_positives, bar.switches]
        return Row(name, [*map(cell, shares), *map(cell, wrong), *map(cell, numbers)], bar)

    return Table(
        title="Every joint", first="Joint",
        columns=("AP", "Prec", "Rec", "MOTA", "MOTP", "HOTA", "DetA", "AssA", "IDF1",
                 "Miss", "False", "Swit", "IDs", "Frag", "Tracks", "MT", "ML"),
        rows=[row(spoken(JOINTS[j]), j, [int(number[j]) for number in whole]) for j in ORDER],
        total=row("all", -1, [int(number.sum()) for number in whole]),
    )  # fmt: skip
