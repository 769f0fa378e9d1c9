"""An evaluation as text for the screen, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from posetrack_app.evaluation.annotated import JOINTS, Protocol
from posetrack_app.evaluation.average_precision import mean
from posetrack_app.evaluation.posetrack import Evaluation, Scope

__all__ = [
    "ACCURACY",
    "FIGURES",
    "IDENTITIES",
    "TRACKING",
    "as_csv",
    "as_json",
    "as_text",
    "figures",
    "group_figures",
    "groups",
    "identity_figures",
]

Array = npt.NDArray[np.float64]

FIGURES = ("ap", "precision", "recall", "mota", "motp", "mot_precision", "mot_recall")
"""The reference's figures, 16 numbers each: of the joints and, last, their mean."""

_GROUPS = {
    "Head": ("head_top", "neck", "nose"),
    **{
        title: (f"right_{name}", f"left_{name}")
        for title, name in (
            ("Shou", "shoulder"), ("Elb", "elbow"), ("Wri", "wrist"),
            ("Hip", "hip"), ("Knee", "knee"), ("Ankl", "ankle"),
        )
    },
}  # fmt: skip
_MEMBERS = {title: [JOINTS.index(joint) for joint in joints] for title, joints in _GROUPS.items()}

ACCURACY = (*_MEMBERS, "Total", "Prec", "Rec")
TRACKING = (*_MEMBERS, "Total", "MOTP", "Prec", "Rec")
IDENTITIES = ("HOTA", "DetA", "AssA", "LocA", "IDF1", "Miss", "False", "Swit", "IDs", "Frag", "Tracks", "MT", "ML")
"""Columns of the three tables."""


def figures(scope: Scope) -> dict[str, Array | None]:
    """The figures of `FIGURES`, and those of PoseTrack21 and of identities, in percent; None: not to be had."""
    accuracy, tracking, parts = scope.accuracy, scope.tracking, scope.hota.figures()
    return {
        "ap": accuracy.ap,
        "precision": accuracy.precision,
        "recall": accuracy.recall,
        "mota": None if tracking is None else tracking.mota,
        "motp": None if tracking is None else tracking.motp,
        "mot_precision": None if tracking is None else tracking.precision,
        "mot_recall": None if tracking is None else tracking.recall,
        "idf1": None if tracking is None else scope.tracks.idf1(),
        **{name.replace("_", "") if name != "fa_hota" else name: 100 * values for name, values in parts.items()},
    }


def groups(values: Array, *, protocol: Protocol) -> list[float]:
    """The seven groups of the printed table and the mean of all joints.

    For `poseval` a group lacks a figure if one of its joints does, for `strict` if all of them do.
    """
    of = mean if protocol == "strict" else lambda members: float(members.mean())
    return [*(of(values[members]) for members in _MEMBERS.values()), float(values[-1])]


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """All figures; what is no number is None."""
    return {
        "protocol": evaluation.stamp.protocol,
        "stamp": asdict(evaluation.stamp),
        "joints": list(JOINTS),
        "total": _scope_json(evaluation.total),
        "sequences": {name: _scope_json(scope) for name, scope in evaluation.sequences.items()},
        "notes": evaluation.notes,
        "worst_frames": [asdict(frame) for frame in evaluation.worst],
    }


def as_csv(evaluation: Evaluation) -> str:
    """One row for each figure of each sequence and of all (`total`); the stamp stands in every row."""
    stamp = asdict(evaluation.stamp)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sequence", "figure", *JOINTS, "all", *stamp])
    for name, scope in [*evaluation.sequences.items(), ("total", evaluation.total)]:
        for figure, values in figures(scope).items():
            cells = [None] * (len(JOINTS) + 1) if values is None else _numbers(values)
            writer.writerow([name, figure, *cells, *stamp.values()])
    return text.getvalue()


def as_text(evaluation: Evaluation) -> str:
    """The tables for the screen, stamped."""
    stamp = evaluation.stamp
    scopes = [*evaluation.sequences.items(), ("total", evaluation.total)]
    of_all = {name: (scope, figures(scope)) for name, scope in scopes}
    blocks = [
        f"PoseTrack by protocol {stamp.protocol}, posetrack-app {stamp.version}\n"
        f"ground truth  {stamp.gt} (form of {stamp.gt_form})\n"
        f"prediction    {stamp.pred} (form of {stamp.pred_form})\n"
        f"sequences {stamp.sequences}, labelled frames {stamp.labelled_frames}",
        _table(
            "Average precision (AP), percent",
            ACCURACY,
            {
                name: group_figures(values, "ap", ("precision", "recall"), stamp.protocol)
                for name, (_, values) in of_all.items()
            },
        ),
        _table(
            "Tracking (MOTA), percent",
            TRACKING,
            {
                name: group_figures(values, "mota", ("motp", "mot_precision", "mot_recall"), stamp.protocol)
                for name, (_, values) in of_all.items()
            },
        ),
        _table(
            "Identities (HOTA of PoseTrack21, mean of joints) and what MOTA loses; percent, then counts of joints",
            IDENTITIES,
            {name: identity_figures(scope, values) for name, (scope, values) in of_all.items()},
        ),
        *(f"note: {note}" for note in evaluation.notes),
    ]
    return "\n\n".join(blocks)


def _scope_json(scope: Scope) -> dict[str, Any]:
    whole = {item.name: getattr(scope.tracks, item.name) for item in fields(scope.tracks)}
    return {
        **{name: None if values is None else _numbers(values) for name, values in figures(scope).items()},
        "labelled_frames": scope.labelled_frames,
        # Sums of the joints stand last, as everywhere.
        "counts": {
            name: [*values.tolist(), values.sum().item()]
            for name, values in ({item.name: getattr(scope.counts, item.name) for item in fields(scope.counts)}).items()
        },
        "tracks": {name: [*values.tolist(), values.sum().item()] for name, values in whole.items()},
    }


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def group_figures(
    values: Mapping[str, Array | None], figure: str, more: Sequence[str], protocol: Protocol
) -> list[float]:
    """A row of `ACCURACY` or `TRACKING`: one of the figures by group, then the means of some more."""
    main = values[figure]
    if main is None:
        return [math.nan] * (len(_MEMBERS) + 1 + len(more))
    last = [values[name] for name in more]
    return groups(main, protocol=protocol) + [math.nan if other is None else float(other[-1]) for other in last]


def identity_figures(scope: Scope, values: Mapping[str, Array | None]) -> list[float | int]:
    """A row of `IDENTITIES`: HOTA and its parts, IDF1, the parts of MOTA, and counts."""
    main = [values[name] for name in ("hota", "deta", "assa", "loca", "idf1")]
    shares: list[float] = [math.nan if figure is None else float(figure[-1]) for figure in main]
    counts, tracks = scope.counts, scope.tracks
    objects = np.where(counts.objects > 0, counts.objects, np.nan)
    shares += [100 * mean(wrong / objects) for wrong in (counts.misses, counts.false_positives, counts.switches)]
    whole = (counts.switches, tracks.fragments, tracks.tracks, tracks.mostly_tracked, tracks.mostly_lost)
    return [*shares, *(int(number.sum()) for number in whole)]


def _table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[float | int]]) -> str:
    """Columns aligned to the right, names to the left, the last row set off."""
    cells = {name: [_cell(value) for value in row] for name, row in rows.items()}
    wide = max(map(len, rows))
    widths = [max(5, len(title), *(len(row[n]) for row in cells.values())) for n, title in enumerate(columns)]

    def line(name: str, row: Sequence[str]) -> str:
        return f"{name:<{wide}}  " + " ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))

    *sequences, total = (line(name, row) for name, row in cells.items())
    rule = "-" * len(total)
    return "\n".join([title, line("sequence", columns), *sequences, rule, total])


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.1f}"
