"""The report: the evaluation's own figures, nothing from outside, and nothing that a name could break."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.posetrack import Evaluation, evaluate
from posetrack_app.evaluation.report import as_html
from posetrack_app.evaluation.report_tables import DASH, joint_table, losses, sequence_tables
from posetrack_app.evaluation.tables import as_json, as_text
from posetrack_app.evaluation.timeline import Line, Piece, Timeline
from posetrack_app.formats.annotations import JOINTS as NAMES

Protocol = Literal["poseval", "strict"]
Frame = list[dict[str, Any]]


def somebody(track_id: int, *joints: str, at: tuple[float, float] = (50, 50), **more: Any) -> dict[str, Any]:
    """Somebody whose joints lie in a row, 20 pixels apart; the head's size is 30, so the reach 15 pixels."""
    points = [[0.0, 0.0, 0] for _ in NAMES]
    for joint in joints:
        points[NAMES.index(joint)] = [at[0] + 20 * NAMES.index(joint), at[1], 1]
    keypoints = [number for point in points for number in point]
    return {"track_id": track_id, "keypoints": keypoints, "bbox_head": [0, 0, 30, 40], **more}


def content(frames: list[Frame], *, name: str = "images/val/000001_mpii_test/{:06d}.jpg") -> dict[str, Any]:
    return {
        "images": [{"id": t, "file_name": name.format(t), "is_labeled": True} for t in range(len(frames))],
        "annotations": [{"image_id": t, **person} for t, frame in enumerate(frames) for person in frame],
        "categories": [{"name": "person", "keypoints": list(NAMES)}],
    }


World = Callable[..., Evaluation]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Writes sequences, (truth, prediction) by name, and evaluates them for a report."""

    def evaluated(protocol: Protocol = "poseval", **sequences: tuple[dict[str, Any], dict[str, Any]]) -> Evaluation:
        for name, sides in sequences.items():
            for folder, what in zip(("gt", "pred"), sides, strict=True):
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / f"{name}.json").write_text(json.dumps(what))
        return evaluate(tmp_path / "gt", tmp_path / "pred", protocol=protocol, timelines=True)

    return evaluated


def scattered(seed: int, frames: int = 8, people: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """People with most joints of most of their frames; predictions with misses, false joints and switches."""
    random = np.random.default_rng(seed)
    truth, seen = [], []
    for t in range(frames):
        true, predicted = [], []
        for n in range(people):
            joints = [name for name in NAMES if name != "nose" and random.random() < 0.8]
            at = (60.0 + 5 * t, 100.0 * (n + 1))
            if random.random() < 0.9:
                true.append(somebody(n, *joints, at=at))
            kept = [name for name in joints if random.random() < 0.8]
            moved = at if random.random() < 0.8 else (at[0] + 40, at[1] + 30)
            scores = random.random(len(NAMES)).tolist()
            predicted.append(somebody(n + 10 * int(random.random() < 0.2), *kept, at=moved, scores=scores))
        truth.append(true)
        seen.append(predicted)
    return content(truth), content(seen)


class Page(HTMLParser):
    """What a page holds: elements with their attributes, texts, and tables by caption."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "path", "rect"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "caption" in self._open:
            self.tables[-1] = (data, self.tables[-1][1])
        elif "td" in self._open or "th" in self._open:
            self.tables[-1][1][-1][-1] += data

    def rows(self, caption: str, *, place: int = 0) -> list[list[str]]:
        """The rows of one of the tables with this caption, texts without space around."""
        rows = [rows for title, rows in self.tables if title == caption][place]
        return [[text.strip() for text in row] for row in rows]


@pytest.mark.parametrize("protocol", ["poseval", "strict"])
def test_the_tables_are_those_of_the_screen(protocol: Protocol, world: World) -> None:
    evaluation = world(protocol, one=scattered(1), two=scattered(2), alone=scattered(3, frames=1))
    page = Page(as_html(evaluation))
    blocks = [block.splitlines() for block in as_text(evaluation).split("\n\n")[1:4]]
    captions = ("Average precision (AP)", "Tracking (MOTA)", "Identities and what MOTA loses")
    for caption, (_, header, *lines) in zip(captions, blocks, strict=True):
        heading, *rows, total = page.rows(caption, place=1)
        if heading[1] == "Lost":  # the bars
            heading, *rows, total = ([row[0], *row[2:]] for row in [heading, *rows, total])
        assert heading[1:] == header.split()[1:]
        printed = [line.split() for line in lines if not line.startswith("---")]
        for row, expected in zip([*rows, ["total", *total[1:]]], printed, strict=True):
            assert row == [DASH if cell == "-" else cell for cell in expected]
        assert page.rows(caption, place=0) == [heading[1:], total[1:]]
    alone = page.rows(captions[1], place=1)[1]
    assert (alone[0], set(alone[1:]) == {DASH}) == ("alone", protocol == "poseval")


def test_the_table_of_joints_is_the_json(world: World) -> None:
    evaluation = world(one=scattered(1), two=scattered(2))
    written = as_json(evaluation)["total"]
    heading, *rows, total = Page(as_html(evaluation)).rows("Every joint")
    keys = {
        "AP": "ap", "Prec": "precision", "Rec": "recall", "MOTA": "mota", "MOTP": "motp",
        "HOTA": "hota", "DetA": "deta", "AssA": "assa", "IDF1": "idf1",
    }  # fmt: skip
    assert sorted(row[0].replace(" ", "_") for row in rows) == sorted(JOINTS)
    for row in [*rows, total]:
        joint = -1 if row[0] == "all" else JOINTS.index(row[0].replace(" ", "_"))
        cells = dict(zip(heading, row, strict=True))
        for title, key in keys.items():
            value = written[key][joint]
            assert cells[title] == (DASH if value is None else f"{value:.1f}"), (row[0], title)
        assert cells["IDs"] == str(written["counts"]["switches"][joint])
        for title, key in (
            ("Frag", "fragments"),
            ("Tracks", "tracks"),
            ("MT", "mostly_tracked"),
            ("ML", "mostly_lost"),
        ):
            assert cells[title] == str(written["tracks"][key][joint])
    nose = next(row for row in rows if row[0] == "nose")
    assert DASH in nose  # nobody has one


def test_what_mota_loses_makes_100_with_it(world: World) -> None:
    total = world(one=scattered(4), two=scattered(5)).total
    assert total.tracking is not None
    for bar, mota in zip(losses(total.counts), total.tracking.mota.tolist(), strict=True):
        if np.isnan(mota):
            assert bar.parts == []
        else:
            assert bar.whole + mota == pytest.approx(100)
            assert sum(length for kind, _, length in bar.parts if kind == "rest") == pytest.approx(
                max(mota, 0), abs=0.02
            )


def test_a_report_changes_no_figure(world: World, tmp_path: Path) -> None:
    evaluation = world(one=scattered(1), two=scattered(2))
    plain = evaluate(tmp_path / "gt", tmp_path / "pred")
    assert as_json(plain) == as_json(evaluation)
    assert plain.timelines == {}
    assert list(evaluation.timelines) == ["one", "two"]


def is_alone(html: str) -> Page:
    """A page that asks for nothing from outside."""
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "xlink:href", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/webp;base64,")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "iframe", "object", "embed", "base", "form"})
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", re.sub(r"data:image/webp;base64,[^\"]*", "", html))
    assert len(re.sub(r"data:image/webp;base64,[^\"]*", "", html)) < 2_000_000
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        target = attributes.get("href")
        assert target is None or target[1:] in ids
    return page


HOSTILE = [
    "<script>alert(1)<",
    "a\"onmouseover='alert(2)' b",
    "<img src=x onerror=alert(3)>",
    "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "</title><",
    "</style><style>*{display:none}",
]


@pytest.mark.skipif(os.name == "nt", reason="names of files have no such characters there")
def test_names_are_text_whatever_they_are(tmp_path: Path) -> None:
    """Of folders, of files, of pictures."""
    hostile = [name.replace("/", "⁄") for name in HOSTILE]
    plain = [f"sequence {number}" for number in range(len(hostile))]
    shape = [tag for tag, _ in is_alone(_page_with(tmp_path / "plain", "pred", plain)).elements]
    base, folder = tmp_path / '<script src="x">&"', "</title><script>alert(0)<"
    html = _page_with(base, folder, hostile)
    page = is_alone(html)
    assert [tag for tag, _ in page.elements] == shape
    text = "\n".join(page.texts)
    for name in [*hostile, str(base / folder), "{{ 7 * 7 }}", "\\udcff<i>.json"]:
        assert name in text
    assert "content=\"default-src 'none'" in html


def _page_with(base: Path, prediction: str, names: list[str]) -> str:
    gt, pred = base / "gt", base / prediction
    for folder in (gt, pred):
        folder.mkdir(parents=True)
    for number, stem in enumerate(names):
        frames = [[somebody(0, "nose", "left_knee")]] * 2
        seen = [[somebody(number, "nose")], [somebody(number + 1, "nose")]]
        for folder, what in ((gt, frames), (pred, seen)):
            picture = f"images/{stem.replace('{', '{{').replace('}', '}}')}/{{}}<x>\"'.jpg"
            (folder / f"{stem}.json").write_text(json.dumps(content(what, name=picture)))
    (pred / os.fsdecode(b"\xff<i>.json")).write_text("{}")  # no text at all
    html = as_html(evaluate(gt, pred, protocol="strict", timelines=True))
    html.encode("utf-8")
    return html


def nobody(frames: int) -> dict[str, Any]:
    return content([[] for _ in range(frames)])


@pytest.mark.parametrize("protocol", ["poseval", "strict"])
@pytest.mark.parametrize(
    ("truth", "seen"),
    [
        (nobody(0), nobody(0)),
        (nobody(2), nobody(2)),
        (content([[somebody(0, "nose")]]), content([[somebody(0, "nose")]])),
        (content([[somebody(0, "nose")]] * 3), nobody(3)),
        (nobody(3), content([[somebody(0, "nose")]] * 3)),
        (content([[somebody(0)]] * 3), content([[somebody(0)]] * 3)),
        (content([[somebody(0, "nose")]] * 2), content([[somebody(0, "nose")]] * 2)),
    ],
)
def test_of_nothing_there_is_a_report_too(
    truth: dict[str, Any], seen: dict[str, Any], protocol: Protocol, world: World
) -> None:
    evaluation = world(protocol, a=(truth, seen))
    page = is_alone(as_html(evaluation))
    assert "nan" not in " ".join(page.texts).lower().split()
    for _, attributes in page.elements:
        for name in ("d", "x", "width", "viewbox"):
            assert not re.search(r"nan|inf|None", attributes.get(name) or "")
    assert len(page.rows("Every joint")) == 1 + len(JOINTS) + 1
    if evaluation.total.tracking is None:
        assert set(page.rows("Tracking (MOTA)")[1]) == {DASH}


def test_no_sequences_at_all(world: World) -> None:
    evaluation = world(a=scattered(1))
    is_alone(as_html(replace(evaluation, sequences={}, timelines={}, worst=[])))


def test_many_long_sequences_stay_small(world: World) -> None:
    """The worst that can be: somebody else in each frame, a thousand frames, a hundred people, in 300 sequences."""
    evaluation = world(a=scattered(1))
    pieces = tuple(Piece(t, t + 1, t % 50, 1 + t % 3) for t in range(1000))
    line = Line(0, pieces, tuple(range(1, 1000)), tuple((t, 3) for t in range(1, 1000)), 15_000, 5_000)
    lines = tuple(replace(line, truth=n) for n in range(100))
    long = Timeline(tuple(f"{t:06d}" for t in range(1000)), lines, tuple(range(1000)))
    scope = evaluation.sequences["a"]
    names = [f"{n:06d}_mpii_test" for n in range(300)]
    for timelines in (dict.fromkeys(names, long), dict.fromkeys(names, evaluation.timelines["a"])):
        html = as_html(replace(evaluation, sequences=dict.fromkeys(names, scope), timelines=timelines))
        assert len(html.encode()) < 2_000_000
        drawn = html.count("<details id=")
        assert (drawn < 300) == ("Not drawn, to keep the file small" in html)


def test_main_fixtures(shared: Path) -> None:
    folder = shared / "data" / "posetrack" / "fixtures"
    if not folder.is_dir():
        pytest.skip("no PoseTrack fixtures")
    evaluation = evaluate(folder / "gt", folder / "pred", timelines=True)
    html = as_html(evaluation)
    assert len(html) < 600_000
    page = is_alone(html)
    assert len(page.rows("Tracking (MOTA)", place=1)) == 1 + len(evaluation.sequences) + 1
    assert html.count('class="curve"') == len(JOINTS)
    for name, timeline in evaluation.timelines.items():
        counts = evaluation.sequences[name].counts
        assert sum(n for line in timeline.lines for _, n in line.switches) == counts.switches.sum()
        assert sum(line.found for line in timeline.lines) == counts.detections.sum()
        assert sum(timeline.false_positives) == counts.false_positives.sum()


def test_a_file_without_a_name(world: World) -> None:
    evaluation = world("strict", **{"": scattered(1)})
    assert list(evaluation.timelines) == list(evaluation.sequences) == [""]
    is_alone(as_html(evaluation))


def test_rows_keep_the_order_of_the_names(world: World) -> None:
    evaluation = world(b=scattered(1), a=scattered(2))
    assert [row.name for row in sequence_tables(evaluation)[0].rows] == ["a", "b"]
    assert joint_table(evaluation.total).rows[0].name == "head top"


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posetrack_app", "evaluate", "posetrack", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_command(world: World, tmp_path: Path) -> None:
    world(one=scattered(1))
    folders = ("--gt", tmp_path / "gt", "--pred", tmp_path / "pred")
    done = call(*folders, "--report", tmp_path / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    is_alone((tmp_path / "report.html").read_text(encoding="utf-8"))
    for arguments, code, says in (
        (("--images", tmp_path), 2, "add --report FILE"),
        (("--report", tmp_path / "no" / "report.html"), 1, "cannot write"),
        (("--report", tmp_path / "r.html", "--images", tmp_path / "none"), 1, "none is not there; --images must be"),
    ):
        done = call(*folders, *arguments)
        assert done.returncode == code
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert says in line
