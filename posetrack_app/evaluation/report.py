"""An evaluation as one HTML file that needs nothing else: tables, charts, timelines, the worst frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from posetrack_app.evaluation import charts
from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.hota import ALPHAS
from posetrack_app.evaluation.posetrack import Evaluation
from posetrack_app.evaluation.report_tables import ORDER, cell, joint_table, sequence_tables, spoken, total_of
from posetrack_app.evaluation.tables import figures
from posetrack_app.evaluation.timeline import LEVELS, Line, Timeline
from posetrack_app.evaluation.worst import WorstPicture, draw_worst
from posetrack_app.render.colours import track_colour

__all__ = ["as_html", "report_of"]

_LINES = 60  # people of a timeline
_CHIPS = 6  # identities that are named beside a line
_TIMELINES = 1_200_000  # characters of all timelines, so that the file stays under 2 MB
_SEQUENCE = 1_900  # characters that a sequence takes elsewhere, about


@dataclass(frozen=True, slots=True)
class _Chart:
    """The curve of one joint."""

    name: str
    ap: str
    shape: charts.CurveShape | None


@dataclass(frozen=True, slots=True)
class _Lane:
    """One person of a timeline."""

    truth: int
    strokes: list[charts.Stroke]
    changes: tuple[int, ...]
    switches: tuple[int, ...]
    found: str
    switched: int
    identities: list[int]
    more: int
    words: str


@dataclass(frozen=True, slots=True)
class _Strip:
    """The timeline of one sequence."""

    name: str
    anchor: str
    mota: str
    switches: int
    frames: tuple[str, ...]
    lanes: list[_Lane]
    left_out: int
    false_positives: str
    highest: int

    @property
    def size(self) -> int:
        """About how many characters it takes."""
        paths = sum(len(stroke.path) + len(stroke.where) + 90 for lane in self.lanes for stroke in lane.strokes)
        marks = sum(12 * (len(lane.changes) + len(lane.switches)) + len(lane.words) + 900 for lane in self.lanes)
        return paths + marks + len(self.false_positives) + 1_500


def report_of(evaluation: Evaluation, gt: Path, pred: Path, *, images: Path | None = None) -> str:
    """The report of an evaluation of these folders, with the worst frames drawn where there are `images`.

    Raises:
        InputError: `images` is no folder.
    """
    if images is None:
        return as_html(evaluation)
    protocol, alone = evaluation.stamp.protocol, len(evaluation.sequences) == 1
    return as_html(evaluation, *draw_worst(evaluation.worst, gt, pred, images, protocol=protocol, alone=alone))


def as_html(evaluation: Evaluation, pictures: Sequence[WorstPicture] = (), notes: Sequence[str] = ()) -> str:
    """The report.

    Args:
        evaluation: with timelines, else there are none in the report.
        pictures: of the worst frames.
        notes: what more a reader must know, a sentence each.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    strips, left_out = _strips(evaluation)
    total = evaluation.total
    tables, joints = sequence_tables(evaluation), joint_table(total)
    html = environment.get_template("report.html.j2").render(
        stamp=evaluation.stamp,
        notes=[*evaluation.notes, *notes],
        tiles=_tiles(evaluation),
        tables=tables,
        joints=joints,
        charts=_charts(evaluation),
        hota=_hota(evaluation),
        strips=strips,
        strips_left_out=left_out,
        anchors={strip.name: strip.anchor for strip in strips},
        worst=evaluation.worst,
        pictures=pictures,
        colour=lambda identity: "#{:02x}{:02x}{:02x}".format(*track_colour(identity)),
        cell=cell,
        side=charts.SIDE,
        levels=LEVELS,
    )
    # A path need not be text; what cannot be written is shown by its number.
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def _tiles(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Name, figure and meaning of what readers look for first."""
    values = figures(evaluation.total)
    counts = evaluation.total.counts
    return [
        ("AP", cell(total_of(values["ap"])), "average precision, mean of joints"),
        ("MOTA", cell(total_of(values["mota"])), "tracking accuracy, mean of joints"),
        ("HOTA", cell(total_of(values["hota"])), "higher order tracking accuracy"),
        ("IDF1", cell(total_of(values["idf1"])), "identity F1 of joints"),
        ("Switches", cell(int(counts.switches.sum())), "joints found under another identity"),
    ]


def _charts(evaluation: Evaluation) -> list[_Chart]:
    accuracy = evaluation.total.accuracy
    return [
        _Chart(
            name=spoken(JOINTS[j]),
            ap=cell(float(accuracy.ap[j])),
            shape=charts.curve_shape(accuracy.curves[j]) if accuracy.curves else None,
        )
        for j in ORDER
    ]


def _hota(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Name, mean and path of HOTA and its parts over the threshold."""
    parts, values = evaluation.total.hota, figures(evaluation.total)
    curves = (("HOTA", parts.hota), ("DetA", parts.det_a), ("AssA", parts.ass_a))
    return [(name, cell(total_of(values[name.casefold()])), charts.polyline(ALPHAS, of[:, -1])) for name, of in curves]


def _strips(evaluation: Evaluation) -> tuple[list[_Strip], list[str]]:
    """Timelines, those with most switches first, and the names of those for which there is no room."""
    order = sorted(
        evaluation.timelines.items(),
        key=lambda item: (-int(evaluation.sequences[item[0]].counts.switches.sum()), item[0]),
    )
    room = _TIMELINES - _SEQUENCE * max(len(evaluation.sequences) - 100, 0)
    strips: list[_Strip] = []
    for number, (name, timeline) in enumerate(order):
        strip = _strip(evaluation, name, timeline, anchor=f"timeline-{number + 1}")
        room -= strip.size
        if room < 0:
            return strips, [name for name, _ in order[number:]]
        strips.append(strip)
    return strips, []


def _strip(evaluation: Evaluation, name: str, timeline: Timeline, *, anchor: str) -> _Strip:
    scope = evaluation.sequences[name]
    shown = sorted(timeline.lines, key=lambda line: (-sum(n for _, n in line.switches), line.found - line.objects))
    lanes = [_lane(line, timeline) for line in sorted(shown[:_LINES], key=lambda line: line.truth)]
    highest = max(timeline.false_positives, default=0)
    return _Strip(
        name=name,
        anchor=anchor,
        mota=cell(total_of(None if scope.tracking is None else scope.tracking.mota)),
        switches=int(scope.counts.switches.sum()),
        frames=timeline.frames,
        lanes=lanes,
        left_out=len(timeline.lines) - len(lanes),
        false_positives=charts.columns(timeline.false_positives, highest=highest),
        highest=highest,
    )


def _lane(line: Line, timeline: Timeline) -> _Lane:
    identities = list(dict.fromkeys(piece.predicted for piece in line.pieces if piece.predicted is not None))
    missed = sum(piece.end - piece.begin for piece in line.pieces if piece.predicted is None)
    present = sum(piece.end - piece.begin for piece in line.pieces)
    as_whom = f"found as {', '.join(map(str, identities[:_CHIPS]))}" if identities else "never found"
    more = max(len(identities) - _CHIPS, 0)
    changed = ", ".join(timeline.frames[frame] for frame in line.changes[:_CHIPS])
    return _Lane(
        truth=line.truth,
        strokes=charts.line_strokes(line, timeline.frames),
        changes=line.changes,
        switches=tuple(frame for frame, _ in line.switches if frame not in set(line.changes)),
        found=cell(100 * line.found / line.objects if line.objects else math.nan),
        switched=sum(number for _, number in line.switches),
        identities=identities[:_CHIPS],
        more=more,
        words=f"{as_whom}{f' and {more} more' if more else ''}; nothing found in {missed} of {present} frames"
        + (f"; identity changes at {changed}{' and later' if len(line.changes) > _CHIPS else ''}" if changed else ""),
    )
