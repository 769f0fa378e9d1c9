"""Folders of predictions: what is read of a file, what a protocol refuses, and what is printed and written."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.errors import InputError
from posetrack_app.evaluation.annotated import JOINTS
from posetrack_app.evaluation.posetrack import Evaluation, evaluate
from posetrack_app.evaluation.tables import FIGURES, as_csv, as_json, as_text, figures
from posetrack_app.formats.annotations import JOINTS as NAMES

K = len(JOINTS)
NOSE, KNEE = JOINTS.index("nose"), JOINTS.index("left_knee")
Dot = tuple[float, float, int]
Person = dict[str, Any]
Frame = list[Person]


def person(track_id: int, nose: Dot | None = (50, 50, 1), *, head: bool = True, **more: Any) -> Person:
    """Somebody with a nose only; the head's size is 30, so the reach 15 pixels."""
    points = [[0, 0, 0] for _ in NAMES]
    if nose is not None:
        points[NAMES.index("nose")] = list(nose)
    box = {"bbox_head": [0, 0, 30, 40]} if head else {}
    return {"track_id": track_id, "keypoints": [number for point in points for number in point], **box, **more}


def content(
    frames: list[Frame], *, video: str = "000001_mpii_test", images: dict[int, dict[str, Any]] | None = None
) -> dict[str, Any]:
    named = [
        {"id": t, "file_name": f"images/val/{video}/{t:06d}.jpg", "is_labeled": True, **(images or {}).get(t, {})}
        for t in range(len(frames))
    ]
    people = [{"image_id": t, **someone} for t, frame in enumerate(frames) for someone in frame]
    return {"images": named, "annotations": people, "categories": [{"name": "person", "keypoints": list(NAMES)}]}


World = Callable[..., Evaluation]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Writes one sequence of each side and evaluates it."""

    def evaluated(
        truth: dict[str, Any], seen: dict[str, Any], protocol: Literal["poseval", "strict"] = "poseval"
    ) -> Evaluation:
        for folder, what in (("gt", truth), ("pred", seen)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / "a.json").write_text(json.dumps(what))
        return evaluate(tmp_path / "gt", tmp_path / "pred", protocol=protocol)

    return evaluated


def of_nose(evaluation: Evaluation) -> dict[str, float | None]:
    return {name: None if values is None else values[NOSE] for name, values in figures(evaluation.total).items()}


def test_a_point_at_the_origin_and_one_without_flag_are_points(world: World) -> None:
    truth = content([[person(0, (0, 0, 1)), person(1, (400, 7, 0))]] * 2)
    assert of_nose(world(truth, truth))["ap"] == 100
    nothing = content([[person(0, (0, 0, 0)), person(1, (0, 0, 0))]] * 2)
    assert of_nose(world(truth, nothing))["recall"] == 0
    assert np.isnan(of_nose(world(nothing, truth))["ap"])  # predicted, nowhere annotated


def test_scores_decide_the_order_and_joints_without_come_last(world: World) -> None:
    truth = content([[person(0)]] * 2)
    false = person(1, (400, 400, 1))
    scored = {"scores": [0.1] * 17}
    for without in ({}, {"scores": []}):
        first_right = world(truth, content([[person(0, **scored), {**false, **without}]] * 2))
        assert of_nose(first_right)["ap"] == pytest.approx(100)
        first_wrong = world(truth, content([[{**person(0), **without}, {**false, **scored}]] * 2))
        assert of_nose(first_wrong)["ap"] == pytest.approx(50)


def test_names_of_joints_decide_and_ears_are_dropped(world: World) -> None:
    truth = content([[person(0)]] * 2)
    seen = content([[{"track_id": 0, "keypoints": [50, 50, 1] + [0] * 42, "scores": [0.5] * 15}]] * 2)
    seen["categories"][0]["keypoints"] = ["nose", *[name for name in NAMES if name != "nose" and "ear" not in name]]
    assert of_nose(world(truth, seen))["ap"] == 100
    with_ear = person(0)
    with_ear["keypoints"][3 * NAMES.index("left_ear")] = 77
    evaluation = world(truth, content([[with_ear]] * 2))
    assert evaluation.total.counts.detections.sum() == 1
    assert evaluation.total.counts.false_positives.sum() == 0


def test_of_several_videos_the_first_is_taken(world: World) -> None:
    other = {2: {"file_name": "images/val/000002_mpii_test/000000.jpg"}}
    truth = content([[person(0)]] * 3, images=other)
    seen = content([[person(0)], [person(0)], [person(0, (400, 400, 1))]], images=other)
    evaluation = world(truth, seen)
    assert evaluation.total.labelled_frames == 2
    assert of_nose(evaluation)["ap"] == 100
    with pytest.raises(InputError, match="of a second video"):
        world(truth, seen, "strict")


def test_frames_are_paired_by_position(world: World) -> None:
    truth = content([[person(0, (50 + 100 * t, 50, 1))] for t in range(3)])
    turned = {**truth, "images": truth["images"][::-1]}
    assert of_nose(world(truth, turned))["precision"] == pytest.approx(100 / 3)
    with pytest.raises(InputError, match=r"000002\.jpg stands where the ground truth has 000000\.jpg"):
        world(truth, turned, "strict")


def old(frames: list[list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "annolist": [
            {"image": [{"name": f"images/x/{t + 1:08d}.jpg"}], "annorect": frame} for t, frame in enumerate(frames)
        ]
    }


def rect(track_id: int | None, *points: tuple[int, float, float]) -> dict[str, Any]:
    identity = {} if track_id is None else {"track_id": [track_id]}
    listed = [{"id": [j], "x": [x], "y": [y]} for j, x, y in points]
    return {**identity, "x1": [0], "y1": [0], "x2": [30], "y2": [40], "annopoints": [{"point": listed}]}


def test_the_form_of_2017_and_both_together(world: World) -> None:
    truth = old([[rect(0, (NOSE, 50, 50), (NOSE, 900, 900))]] * 2)  # the first of two points counts
    assert of_nose(world(truth, truth))["ap"] == 100
    mixed = world(truth, content([[person(0)]] * 2))
    assert of_nose(mixed)["ap"] == 100
    assert (mixed.stamp.gt_form, mixed.stamp.pred_form) == ("2017", "2018")


def test_people_without_a_list_make_a_frame_count_but_are_nobody(world: World) -> None:
    without = {"track_id": [3], "annopoints": []}
    truth = old([[rect(0, (NOSE, 50, 50))], [without], [], [rect(0, (NOSE, 50, 50))]])
    seen = old([[rect(0, (NOSE, 50, 50)), {"annopoints": [{}]}, {}], [], [], [rect(0, (NOSE, 50, 50))]])
    evaluation = world(truth, seen)
    assert evaluation.total.labelled_frames == 3
    # The second frame is empty on both sides: still one miss and one false positive of every joint.
    assert evaluation.total.counts.misses.tolist() == evaluation.total.counts.false_positives.tolist() == [1] * K
    # In the form of 2018 such a person stays, so the frame of the truth is not empty.
    nobody = content([[person(0)], [person(3, None)], [], [person(0)]])
    seen18 = content([[person(0)], [person(0)], [], [person(0)]])
    counts = world(nobody, seen18).total.counts
    assert (counts.misses.sum(), counts.false_positives.sum()) == (0, 1)


def test_a_missing_track_is_said(world: World) -> None:
    truth = old([[rect(0, (NOSE, 50, 50))]] * 2)
    with pytest.raises(InputError, match=r"pred/a\.json: annolist\[1\]\.annorect\[0\]: `track_id` is missing"):
        world(truth, old([[rect(0, (NOSE, 50, 50))], [rect(None, (NOSE, 50, 50))]]))


TWO = [[person(0), person(1, (400, 400, 1))]] * 2
FINE = content(TWO)
LINE = {"ignore_regions_x": [[1, 2]], "ignore_regions_y": [[1, 2]]}


def changed(frame: int, number: int, **changes: Any) -> dict[str, Any]:
    """`FINE` with a person changed; None takes a field away."""
    frames = [list(people) for people in TWO]
    altered = {**frames[frame][number], **changes}
    frames[frame][number] = {key: value for key, value in altered.items() if value is not None}
    return content(frames)


@pytest.mark.parametrize(
    ("truth", "seen", "poseval", "strict"),
    [
        (FINE, changed(1, 1, track_id=0), "annotations[3]: `track_id` 0 is there twice", ...),
        (changed(1, 1, track_id=0), FINE, None, "gt/a.json: images/val/000001_mpii_test/000001.jpg: annotations[3]"),
        (FINE, changed(0, 1, track_id=10000), "annotations[1]: `track_id` 10000 must be at most 9999", "0 to 9999"),
        (changed(0, 1, track_id=10000), FINE, "gt/a.json", "0 to 9999"),
        (FINE, changed(0, 1, track_id=-4), None, "annotations[1]: `track_id` -4 must be 0 to 9999"),
        (FINE, changed(0, 1, track_id=9999), None, None),
        (changed(0, 1, bbox_head=None), FINE, "person 1 has no head box", "`bbox_head` of track 1 is missing or empty"),
        (changed(0, 1, bbox_head=[3, 3, 0, 0]), FINE, None, "`bbox_head` of track 1 is missing or empty"),
        (FINE, content(TWO[:1]), "has 1 frames, but the ground truth 2, the first missing is 000001.jpg", ...),
        (FINE, content(TWO, video="clip"), "images/val/clip/000000.jpg is not like", None),
        (content(TWO, video="clip"), FINE, "gt/a.json: `file_name`", None),
        (content(TWO, images={0: LINE}), FINE, "an ignore region has 2 corners", ...),
    ],
)  # fmt: skip
def test_what_a_protocol_refuses(
    truth: dict[str, Any], seen: dict[str, Any], poseval: str | None, strict: Any, world: World
) -> None:
    """`...`: as for poseval."""
    for protocol, message in (("poseval", poseval), ("strict", poseval if strict is ... else strict)):
        if message is None:
            world(truth, seen, protocol)
            continue
        with pytest.raises(InputError) as error:
            world(truth, seen, protocol)
        assert message in str(error.value)
        assert "a.json" in str(error.value)
        assert "\n" not in str(error.value)


def test_a_head_box_is_needed_only_where_something_is_measured(world: World) -> None:
    truth = content([[person(0)], [person(0, head=False)], [person(0)]])
    evaluation = world(truth, content([[person(0)], [], [person(0)]]))
    assert evaluation.total.labelled_frames == 3


def test_one_frame_has_no_tracking_for_poseval(world: World, tmp_path: Path) -> None:
    alone = world(content([[person(0)]]), content([[person(0)]]))
    assert of_nose(alone)["ap"] == 100
    for scope in (alone.total, alone.sequences["a"]):
        assert [name for name, values in figures(scope).items() if values is None] == [
            "mota", "motp", "mot_precision", "mot_recall", "idf1",
        ]  # fmt: skip
    assert "fewer than two frames" in alone.notes[0]
    assert of_nose(world(content([[person(0)]]), content([[person(0)]]), "strict"))["mota"] == 100
    # Beside another sequence the total is that of the other.
    for folder in ("gt", "pred"):
        (tmp_path / folder / "b.json").write_text(json.dumps(content([[person(0)]] * 2)))
    both = evaluate(tmp_path / "gt", tmp_path / "pred")
    assert of_nose(both)["mota"] == 100
    assert both.sequences["a"].tracking is None
    assert "the total is that of the others: a" in both.notes[0]


def test_a_frame_that_says_it_is_not_labelled(world: World) -> None:
    truth = content([[person(0)], [person(0)], []], images={1: {"is_labeled": False}})
    seen = content([[person(0)], [], [person(0)]])
    assert world(truth, seen).total.labelled_frames == 2  # the two with people
    strict = world(truth, seen, "strict")
    assert strict.total.labelled_frames == 2  # the two that are labelled
    assert (strict.total.counts.detections.sum(), strict.total.counts.false_positives.sum()) == (1, 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), people=st.integers(1, 4), frames=st.integers(1, 4))
def test_a_perfect_prediction_scores_100_under_strict_whatever_ids_and_order(
    seed: int, people: int, frames: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("world")
    renamed = random.permutation(10000)[:people].tolist()
    truth, seen = [], []
    for _ in range(frames):
        points = random.uniform(1, 900, (people, 17, 3)) * (random.random((people, 17, 1)) < 0.6)
        points[..., 2] = points[..., 0] > 0
        rows = [{"keypoints": rows.ravel().tolist(), "bbox_head": [1, 1, 20, 20]} for rows in points]
        truth.append([{**row, "track_id": n} for n, row in enumerate(rows)])
        order = random.permutation(people).tolist()
        seen.append([{**rows[n], "track_id": renamed[n], "scores": random.random(17).tolist()} for n in order])
    for name, what in (("gt", truth), ("pred", seen)):
        (folder / name).mkdir()
        (folder / name / "a.json").write_text(json.dumps(content(what)))
    for name, values in figures(evaluate(folder / "gt", folder / "pred", protocol="strict").total).items():
        if name in (*FIGURES, "idf1"):
            assert values is not None
            np.testing.assert_allclose(values[~np.isnan(values)], 100, err_msg=name)


def test_missing_folders_and_files_are_one_line(world: World, tmp_path: Path) -> None:
    world(FINE, FINE)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="none is not there; it must be a folder"):
        evaluate(tmp_path / "none", tmp_path / "pred")
    with pytest.raises(InputError, match=r"a\.json is no folder"):
        evaluate(tmp_path / "gt", tmp_path / "pred" / "a.json")
    with pytest.raises(InputError, match=r"empty has no \.json files"):
        evaluate(empty, tmp_path / "pred")
    with pytest.raises(InputError, match=r"empty lacks 1 of 1 files: a\.json"):
        evaluate(tmp_path / "gt", empty)
    (tmp_path / "pred" / "z.json").write_text("not read")
    assert evaluate(tmp_path / "gt", tmp_path / "pred").notes == ["left out, without ground truth: z.json"]


def test_tables(world: World) -> None:
    evaluation = world(FINE, FINE)
    written = as_json(evaluation)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert written["joints"] == list(JOINTS)
    assert written["stamp"]["labelled_frames"] == 2
    for scope in (written["total"], written["sequences"]["a"]):
        assert all(len(scope[name]) == 16 for name in FIGURES)
        assert scope["mota"][NOSE] == 100
        assert scope["mota"][KNEE] is None
        assert scope["counts"]["detections"][-1] == 2
    rows = list(csv.DictReader(io.StringIO(as_csv(evaluation))))
    assert {row["sequence"] for row in rows} == {"a", "total"}
    (row,) = [row for row in rows if row["figure"] == "mota" and row["sequence"] == "total"]
    assert (row["nose"], row["left_knee"], row["protocol"], row["labelled_frames"]) == ("100.0", "", "poseval", "2")
    text = as_text(evaluation)
    for word in ("Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total", "MOTA", "MOTP", "Prec", "Rec", "HOTA"):
        assert word in text
    for word in ("protocol poseval", "form of 2018", "labelled frames 2", "sequences 1"):
        assert word in text
    assert max(map(len, text.splitlines()[6:])) <= 110


def test_a_group_lacks_a_figure_where_one_joint_does_except_under_strict(world: World) -> None:
    lines = {}
    for protocol in ("poseval", "strict"):
        text = as_text(world(FINE, FINE, protocol))
        lines[protocol] = [line.split() for line in text.splitlines() if line.startswith("total")]
    assert lines["poseval"][1][1] == "-"  # MOTA of neck and head top
    assert lines["strict"][1][1] == "100.0"


def test_the_worst_frames_come_first(world: World) -> None:
    seen = content([[person(0), person(1, (400, 400, 1))], [person(0, (300, 300, 1))], [], [person(0)]])
    evaluation = world(content(TWO[:1] * 4), seen, "strict")
    assert [(frame.errors, frame.frame[-6:]) for frame in evaluation.worst] == [
        (3, "01.jpg"), (2, "02.jpg"), (1, "03.jpg"),
    ]  # fmt: skip
    assert (evaluation.worst[0].misses, evaluation.worst[0].false_positives) == (2, 1)


def call(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posetrack_app", "evaluate", "posetrack", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def test_the_command(world: World, tmp_path: Path) -> None:
    world(FINE, FINE)
    folders = ("--gt", tmp_path / "gt", "--pred", tmp_path / "pred")
    done = call(*folders, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--protocol", "strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Tracking (MOTA)" in done.stdout
    assert json.loads((tmp_path / "a.json").read_text())["protocol"] == "strict"
    assert (tmp_path / "a.csv").read_text().startswith("sequence,figure,right_ankle,")
    for arguments, says in (
        ((*folders[:3], tmp_path / "none"), "none is not there"),
        ((*folders, "--csv", tmp_path / "no" / "a.csv"), "cannot write"),
        ((*folders, "--check-with", "poseval"), "pip install"),
    ):
        done = call(*arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert says in line


def test_the_reference_is_run_and_compared(world: World, tmp_path: Path) -> None:
    """With a stand-in that is right but for MOTA of the nose, in the way in which the reference writes its files."""
    evaluation = world(FINE, FINE)
    written = as_json(evaluation)
    files = {}
    for name, scope in {**written["sequences"], "total": written["total"]}.items():
        numbers = {key: [float("nan") if value is None else value for value in scope[key]] for key in FIGURES}
        wrong = [*numbers["mota"]]
        wrong[NOSE] -= 25
        files[f"{name}_AP_metrics.json"] = {
            "ap": numbers["ap"], "pre": numbers["precision"], "rec": numbers["recall"], "names": {},
        }  # fmt: skip
        files[f"{name}_MOT_metrics.json"] = {
            "mota": wrong, "motp": numbers["motp"], "pre": numbers["mot_precision"], "rec": numbers["mot_recall"],
        }  # fmt: skip
    package = tmp_path / "packages" / "poseval"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "files.json").write_text(json.dumps(files))
    (package / "evaluate.py").write_text(
        "import json, pathlib, sys\n"
        "given = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "assert given['-g'].endswith('gt/') and given['-p'].endswith('pred/')\n"
        "for name, content in json.loads((pathlib.Path(__file__).parent / 'files.json').read_text()).items():\n"
        "    (pathlib.Path(given['-o']) / name).write_text(json.dumps(content))\n"
        "raise IndexError('one frame')\n"
    )
    done = call(
        "--gt", tmp_path / "gt", "--pred", tmp_path / "pred", "--check-with", "poseval",
        PYTHONPATH=str(tmp_path / "packages"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "ap: the same of 2, at most 0 (a)" in said
    assert "mota: DIFFERENT in 2 of 2, at most 25 (a)" in said
    assert said[-1] == "poseval stopped early: IndexError: one frame"
