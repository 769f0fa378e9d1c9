"""Tuning: its figures are the evaluator's, and what it finds is the best of what there is to find."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.skeleton import POSETRACK15
from posetrack_app import config, submission
from posetrack_app.config import Settings, override
from posetrack_app.errors import InputError
from posetrack_app.evaluation.posetrack import evaluate
from posetrack_app.evaluation.tuning import GRID, Judge, Search, load, search, setting
from posetrack_app.evaluation.tuning_report import as_text, as_toml, draw, figures_text
from posetrack_app.formats import posetrack2018
from posetrack_app.formats.parquet import write_sequence
from posetrack_app.formats.predicted import predicted_frame
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.retrack import retrack
from posetrack_app.types import Poses

NAMES = ("000011_mpii_test", "000022_bonn_train")
FRAMES = 8
HEAD = 30.0  # pixels of PCKh's head size

SMALL = {
    name: GRID[name] for name in ("output.min_joint_score", "output.untracked", "tracker.strong_score", "refine.smooth")
}


def people(t: int) -> np.ndarray:
    """Three people who walk past each other, (3, 15, 2)."""
    body = np.stack([np.tile([-15.0, 0, 15], 5), np.repeat(np.arange(5) * 40.0, 3)], axis=-1)
    x = np.array([100 + 12 * t, 380 - 12 * t, 600])
    return body[None] + np.stack([x, [60.0, 130, 90]], axis=-1)[:, None]


def world(folder: Path, *, wrong: float = 0.3, seed: int = 0) -> tuple[Path, Path]:
    """Ground truth, and poses of which the joints below a score of 0.35 are wrong and those above are right."""
    random = np.random.default_rng(seed)
    gt, poses = folder / "gt", folder / "poses"
    for part in (gt, poses):
        part.mkdir(parents=True)
    for name in NAMES:
        truth, seen = [], []
        for t in range(FRAMES):
            xy = people(t)
            sure = np.ones((3, 15))
            frame = predicted_frame(
                Poses.untracked(xy=xy, joint_score=sure, score=np.ones(3)).with_tracks(range(3)),
                POSETRACK15,
                image_id=t,
                file_name=f"images/val/{name}/{t:06d}.jpg",
            )
            box = np.concatenate([np.zeros((3, 2)), np.full((3, 2), HEAD / 0.6 / np.sqrt(2))], axis=1)
            truth.append(replace(frame, head_box=box))
            bad = random.random((3, 15)) < wrong
            score = np.where(bad, random.uniform(0.05, 0.3, (3, 15)), random.uniform(0.4, 1, (3, 15)))
            away = random.normal(0, 2, (3, 15, 2)) + bad[..., None] * 25
            seen.append(Poses.untracked(xy=xy + away, joint_score=score, score=score.mean(axis=1)))
        posetrack2018.write(gt / f"{name}.json", truth)
        write_sequence(poses / f"{name}.parquet", sequence(name, seen))
    return gt, poses


def sequence(name: str, seen: Sequence[Poses]) -> PoseSequence:
    frames = [PosedFrame(t, t / 25, poses, f"{t:06d}.jpg") for t, poses in enumerate(seen)]
    return PoseSequence(name, POSETRACK15, 700, 400, frames)


def written(folder: Path, gt: Path, poses: Path, settings: Settings) -> dict[str, float]:
    """The same figures the long way: written as files, read and evaluated."""
    folder.mkdir()
    materials, _ = load(gt, poses)
    for material in materials:
        tracked = retrack(material.poses, settings).sequence
        submission.write_predictions(
            folder, material.target, submission.predict(tracked, material.target, settings.output)
        )
    total = evaluate(gt, folder).total
    assert total.tracking is not None
    return {
        "map": float(total.accuracy.ap[-1]),
        "mota": float(total.tracking.mota[-1]),
        "hota": 100 * float(total.hota.figures()["hota"][-1]),
    }


@pytest.mark.parametrize(
    "assignments",
    [
        [],
        ["output.min_joint_score=0.35"],
        ["tracker.strong_score=0.6", "output.untracked=true", "refine.smooth=savgol"],
    ],
)
def test_figures_are_those_of_the_evaluator(assignments: list[str], tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    settings = override(Settings(), assignments)
    figures = Judge(load(gt, poses)[0])(settings)
    for goal, figure in written(tmp_path / "pred", gt, poses, settings).items():
        assert getattr(figures, goal) == pytest.approx(figure, abs=1e-9)


def test_mota_wants_to_be_rid_of_what_precision_wants_to_keep(tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    judge = Judge(load(gt, poses)[0])
    for_mota = search(judge, "mota", Settings(), grid=SMALL)
    for_map = search(judge, "map", Settings(), grid=SMALL)
    assert for_mota.complete
    assert for_map.complete
    assert 0.3 <= setting(for_mota.best, "output.min_joint_score") <= 0.4
    assert setting(for_map.best, "output.min_joint_score") == 0
    begin, end = judge(Settings()), judge(for_mota.best)
    assert end.mota > begin.mota + 10
    assert sum(for_mota.gains.values()) == pytest.approx(end.mota - begin.mota)
    assert judge(for_map.best).map >= begin.map


def test_no_neighbour_on_the_grid_is_better(tmp_path: Path) -> None:
    """The literal way: from where a search ended, changing any one setting gains nothing."""
    gt, poses = world(tmp_path, seed=3)
    judge = Judge(load(gt, poses)[0])
    grid = {name: GRID[name] for name in ("output.min_joint_score", "output.min_person_score", "tracker.strong_score")}
    found = search(judge, "mota", Settings(), grid=grid)
    best = judge(found.best).mota
    for name, values in grid.items():
        for value in values:
            figure = Judge(load(gt, poses)[0])(override(found.best, [f"{name}={value}"])).mota
            assert figure <= best + 0.01
            assert dict(found.curves[name]).get(value) == pytest.approx(figure)


def test_a_search_is_the_same_each_time_and_keeps_to_its_budget(tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    materials = load(gt, poses)[0]
    whole = search(Judge(materials), "mota", Settings(), grid=SMALL)
    again = search(Judge(materials), "mota", Settings(), grid=SMALL)
    assert (whole.best, whole.curves, whole.tries) == (again.best, again.curves, again.tries)
    calls: list[int] = []
    short = search(Judge(materials), "mota", Settings(), grid=SMALL, budget=12, progress=lambda: calls.append(1))
    assert short.tries == len(calls) == 12
    assert not short.complete
    assert "untried" in as_text(short)
    assert "budget" in as_text(short)


def test_what_is_as_good_is_left_alone(tmp_path: Path) -> None:
    """A perfect network: nothing to gain, so nothing is changed."""
    gt, poses = world(tmp_path, wrong=0)
    found = search(Judge(load(gt, poses)[0]), "mota", Settings(), grid=SMALL)
    assert found.best == Settings()
    assert not any(found.gains.values())


def test_settings_written_are_settings_read(tmp_path: Path) -> None:
    start = override(Settings(), ["network.short_side=384", "tracker.birth_frames=2"])
    best = override(start, ["output.min_joint_score=0.35", "output.untracked=true", "tracker.birth_frames=5"])
    found = Search("mota", start, best, gains={"output.min_joint_score": 1.26, "tracker.birth_frames": 0.0})
    (tmp_path / "mota.toml").write_text(as_toml(found))
    assert config.load(tmp_path / "mota.toml") == best
    assert "min_joint_score = 0.35  # +1.3" in as_toml(found)


def test_the_grid_is_of_settings_that_there_are() -> None:
    assert set(GRID) <= config.names()
    for name, values in GRID.items():
        assert setting(Settings(), name) in values


def test_curves_and_tables(tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    judge = Judge(load(gt, poses)[0])
    found = search(judge, "mota", Settings(), grid=SMALL)
    for name in ("a.svg", "b.svg"):
        draw(tmp_path / name, found)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    texts = [element.text for element in ElementTree.parse(tmp_path / "a.svg").iter() if element.tag.endswith("text")]
    assert set(SMALL) <= set(texts)
    table = as_text(found).splitlines()
    assert len(table) == 1 + len(SMALL)
    assert f"{found.gains['output.min_joint_score']:+.1f}" in table[1]
    rows = figures_text({"before": judge(Settings()), "after": judge(found.best)}).splitlines()
    assert len(rows) == 3
    assert f"{judge(found.best).mota:.1f}" in rows[2]


@pytest.mark.parametrize("nested", [False, True])
def test_poses_are_found_where_run_and_submit_put_them(nested: bool, tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    (poses / f"{NAMES[1]}.parquet").unlink()
    if nested:
        (poses / "000011979").mkdir()
        (poses / f"{NAMES[0]}.parquet").rename(poses / "000011979" / "poses.parquet")
    materials, without = load(gt, poses)
    assert [material.target.name for material in materials] == [NAMES[0]]
    assert without == [NAMES[1]]


def test_what_does_not_belong_together_is_said(tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    for folder, message in ((tmp_path / "none", "not there"), (gt, "has no poses of the sequences")):
        with pytest.raises(InputError, match=message):
            load(gt, folder)
    write_sequence(poses / f"{NAMES[0]}.parquet", sequence(NAMES[0], [Poses.empty(15)] * 3))
    with pytest.raises(InputError, match="3 pictures for 8 frames"):
        load(gt, poses)


def test_nothing_to_tune_on(tmp_path: Path) -> None:
    gt, poses = world(tmp_path)
    for name in NAMES:
        frames = posetrack2018.read(gt / f"{name}.json")
        empty = predicted_frame(Poses.empty(15), POSETRACK15, image_id=0, file_name="")
        posetrack2018.write(
            gt / f"{name}.json", [replace(empty, image_id=f.image_id, file_name=f.file_name) for f in frames]
        )
    with pytest.raises(InputError, match="nothing to compute MOTA from"):
        search(Judge(load(gt, poses)[0]), "mota", Settings(), grid=SMALL)
