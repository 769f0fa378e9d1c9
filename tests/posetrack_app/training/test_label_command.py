"""`label` as a user meets it, and its file as training reads it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.cli import app
from posetrack_app.commands import label as command
from posetrack_app.errors import InputError, OutputError, UsageError, UserError
from posetrack_app.sample import SampleConfig, draw
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.labelling import to_annotations
from posetrack_app.training.teacher import Taught, TeacherConfig
from posetrack_app.types import Frame, Poses

Run = Callable[..., int]
BODY = np.array([(6 * (joint % 4), 5 * (joint // 4)) for joint in range(17)], dtype=float)


@dataclass
class Seer:
    """Finds somebody below and right of every pixel that is white, joints as sure as it is told."""

    joint_score: tuple[float, ...] = (0.8,) * 17
    short_side: int = 256
    mirror: bool = True
    batch: int = 2
    weights: str = "none"
    skeleton = COCO17

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        """What a PoseEstimator gives."""
        return [self._people(frame) for frame in frames]

    def _people(self, frame: Frame) -> Poses:
        rows, columns = np.nonzero((frame.image > 250).all(axis=2))
        places = np.stack([columns, rows], axis=1)
        return Poses.untracked(
            xy=(places[:, None] + BODY).reshape(-1, 17, 2),
            joint_score=np.tile(self.joint_score, (len(places), 1)),
            score=np.full(len(places), np.mean(self.joint_score)),
        )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command in an empty folder, with what follows its name; the network is a `Seer`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_estimators", lambda *_, **__: [Seer(), Seer(), Seer()])

    def run(*arguments: object) -> int:
        code = app(["label", *map(str, arguments)], standalone_mode=False)
        return code if isinstance(code, int) else 0

    return run


def picture(path: str, *people: tuple[int, int]) -> None:
    """A picture of 120 x 80 pixels."""
    image = np.zeros((80, 120, 3), dtype=np.uint8)
    for x, y in people:
        image[y, x] = 255
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(path, image)


def write_video(path: str, *, frames: int) -> None:
    """Frames of 96 x 64 pixels, the nth as bright as 20 n."""
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 64))
    for number in range(frames):
        writer.write(np.full((64, 96, 3), 20 * number, dtype=np.uint8))
    writer.release()


def content(path: str = "labels.json") -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


def test_a_folder_is_labelled_and_read_by_training(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    picture("photos/a10.png", (20, 10))
    picture("photos/a9.png", (5, 3), (60, 40))
    picture("photos/deep/er/b.png")
    picture("photos/.hidden/c.png", (5, 5))
    Path("photos/notes.txt").write_text("nothing")
    assert run("photos", "-o", "labels.json") == 0
    assert capsys.readouterr().out.splitlines() == [
        "labels.json: 3 photos in photos",
        "  labelled people: 3; their joints: 51 sure, 0 uncertain",
        "  people who are not sure, left out of what is learned: 0",
    ]
    photos = read_photos(Path("labels.json"), Path("photos"), skeleton=COCO17)
    assert [photo.path.as_posix() for photo in photos] == ["photos/a9.png", "photos/a10.png", "photos/deep/er/b.png"]
    assert [len(photo.xy) for photo in photos] == [2, 1, 0]
    assert [(photo.width, photo.height) for photo in photos] == [(120, 80)] * 3
    np.testing.assert_allclose(photos[1].xy[0], BODY + (20, 10), atol=0.01)
    assert photos[0].labelled.all()
    assert all(len(photo.boxes) == 0 and len(photo.discs) == 0 for photo in photos)
    said = content()["info"]
    assert (said["weights"], said["short_sides"], said["mirror"]) == ("none", [256, 256, 256], True)
    assert [annotation["id"] for annotation in content()["annotations"]] == [1, 2, 3]


def use(monkeypatch: pytest.MonkeyPatch, *seers: Seer) -> None:
    """Let the command see through these."""
    monkeypatch.setattr(command, "_estimators", lambda *_, **__: list(seers))


def test_joints_that_are_not_sure_are_left_out_by_training(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not trusted is a disc; one that no size finds is absent."""
    joint_score = np.full(17, 0.8)
    joint_score[[3, 7]] = 0.06, 0
    seer = Seer(joint_score=tuple(joint_score))
    # The second person has both, so that the file does not lack joint 7 altogether.
    picture("photos/a.png", (20, 10))
    picture("photos/b.png", (20, 10))
    whole = Seer()

    class Second(Seer):
        def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
            return [(whole if frame.name == "b.png" else seer).estimate([frame])[0] for frame in frames]

    use(monkeypatch, Second(), Second())
    assert run("photos", "-o", "labels.json") == 0
    first, second = read_photos(Path("labels.json"), Path("photos"), skeleton=COCO17)
    assert np.flatnonzero(~first.labelled[0]).tolist() == [3, 7]
    assert len(first.boxes) == 0
    np.testing.assert_allclose(first.discs[0, :2], BODY[3] + (20, 10), atol=0.01)
    assert np.flatnonzero(first.disc_joints).tolist() == [3]
    assert second.labelled.all()
    assert len(second.discs) == 0


def test_people_who_are_not_sure_are_left_out_by_training(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Seer(joint_score=(0.15,) * 17))
    picture("photos/a.png", (2, 61))
    assert run("photos", "-o", "labels.json") == 0
    (photo,) = read_photos(Path("labels.json"), Path("photos"), skeleton=COCO17)
    assert len(photo.xy) == 0
    assert photo.box_joints.all()
    ((left, top, right, bottom),) = photo.boxes.tolist()
    inside = (BODY + (2, 61)).clip(0, (119, 79))
    assert 0 <= left <= inside[:, 0].min()
    assert 0 <= top <= inside[:, 1].min()
    assert inside[:, 0].max() <= right <= 120
    assert inside[:, 1].max() <= bottom <= 80


def test_nobody_anywhere_and_pictures_that_cannot_be_read(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    picture("photos/a.png")
    for number in range(4):
        Path(f"photos/broken{number}.jpg").write_bytes(b"no picture")
    assert run("photos", "-o", "labels.json") == 0
    said = capsys.readouterr()
    assert "labels.json: 1 photo in photos\n" in said.out
    assert said.err == (
        "warning: 4 of 5 pictures cannot be read and are left out: broken0.jpg, broken1.jpg, broken2.jpg and 1 more\n"
    )
    assert [image["file_name"] for image in content()["images"]] == ["a.png"]
    assert content()["annotations"] == []


def test_a_lone_picture(run: Run) -> None:
    picture("photos/a.png", (20, 10))
    picture("photos/b.png", (20, 10))
    assert run("photos/b.png", "-o", "labels.json", "--quiet") == 0
    assert [image["file_name"] for image in content()["images"]] == ["b.png"]


def test_frames_of_a_video_become_pictures(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write_video("clip.avi", frames=7)
    assert run("clip.avi", "-o", "out.json", "--every", "3") == 0
    names = ["clip_000000.jpg", "clip_000003.jpg", "clip_000006.jpg"]
    assert sorted(path.name for path in Path("out_images").iterdir()) == names
    assert "out.json: 3 photos in out_images" in capsys.readouterr().out
    photos = read_photos(Path("out.json"), Path("out_images"), skeleton=COCO17)
    assert [photo.path.name for photo in photos] == names
    # Frame n is as bright as 20 n.
    assert [round(cv2.imread(str(photo.path)).mean() / 20) for photo in photos] == [0, 3, 6]
    Path("out.json").unlink()
    with pytest.raises(OutputError, match="out_images is there already"):
        run("clip.avi", "-o", "out.json", "--every", "3")


class Ended(Seer):
    """Is asked to stop, or dies, when it sees the third picture."""

    def __init__(self, how: Callable[[], object]) -> None:
        super().__init__(batch=1)
        self.how = how
        self.seen: list[str] = []

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        self.seen += [str(frame.name) for frame in frames]
        if len(self.seen) == 3:
            self.how()
        return super().estimate(frames)


def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)


def killed() -> None:
    raise MemoryError


@pytest.mark.parametrize("source", ["photos", "clip.avi"])
@pytest.mark.parametrize("how", [interrupted, killed])
def test_what_was_broken_off_goes_on(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: Callable[[], object],
    source: str,
) -> None:
    for number in range(6):
        picture(f"photos/{number}.png", *[(20, 10 + step) for step in range(number % 3)])
    write_video("clip.avi", frames=12)
    whole, broken, rest = Ended(lambda: None), Ended(how), Ended(lambda: None)
    use(monkeypatch, whole)
    assert run(source, "-o", "whole.json", "--every", "2") == 0
    use(monkeypatch, broken)
    if how is interrupted:
        assert run(source, "-o", "labels.json", "--every", "2") == 130
        said = capsys.readouterr().out
        assert "labels.partial.json: 3 photos in " in said
        assert "stopped before the end; the same command goes on" in said
        assert [image["file_name"] for image in content("labels.partial.json")["images"]] == broken.seen
    else:
        with pytest.raises(MemoryError):
            run(source, "-o", "labels.json", "--every", "2")
        journal = Path("labels.partial.jsonl")
        journal.write_bytes(journal.read_bytes()[:-7])  # as of a line that a full disk, or a lost battery, broke off
    assert not Path("labels.json").exists()
    use(monkeypatch, rest)
    with pytest.raises(OutputError, match=r"labels\.partial\.jsonl was begun with other settings"):
        run(source, "-o", "labels.json", "--every", "2", "--sure-score", "0.4")
    assert run(source, "-o", "labels.json", "--every", "2") == 0
    assert rest.seen == whole.seen[3 if how is interrupted else 1 :]
    assert Path("labels.json").read_bytes() == Path("whole.json").read_bytes()
    assert not list(Path().glob("*.partial*"))


def test_damage_costs_the_photo_that_it_hits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        picture(f"photos/{number}.png", (20, 10))
    use(monkeypatch, Ended(interrupted))
    assert run("photos", "-o", "labels.json") == 130
    journal = Path("labels.partial.jsonl")
    head, first, *others = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([head, b"\0" * (len(first) - 1) + b"\n", *others]))
    rest = Ended(lambda: None)
    use(monkeypatch, rest)
    assert run("photos", "-o", "labels.json") == 0
    assert rest.seen == ["0.png", "3.png", "4.png"]
    assert sorted(image["file_name"] for image in content()["images"]) == [f"{number}.png" for number in range(5)]


def test_overwrite_begins_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        picture(f"photos/{number}.png", (20, 10))
    use(monkeypatch, Ended(killed))
    with pytest.raises(MemoryError):
        run("photos", "-o", "labels.json")
    again = Ended(lambda: None)
    use(monkeypatch, again)
    assert run("photos", "-o", "labels.json", "--sure-score", "0.5", "--overwrite") == 0
    assert again.seen == ["0.png", "1.png", "2.png", "3.png"]
    assert len(content()["annotations"]) == 4


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("nowhere", "-o", "l.json"), InputError, "nowhere is not there"),
        (("empty", "-o", "l.json"), InputError, "no pictures are in empty"),
        (("photos", "-o", "old.json"), OutputError, "old.json is there already; --overwrite replaces it"),
        (("photos", "-o", "no/such/l.json"), OutputError, "cannot write no/such/l.partial.jsonl"),
        (("old.json", "-o", "l.json"), InputError, "old.json"),
        (("photos", "-o", "l.json", "--short-sides", "256,x"), UsageError, "--short-sides is '256,x'"),
        (("photos", "-o", "l.json", "--sure-score", "0.01"), UsageError, "must not be above --sure-score, 0.01"),
    ],
)
def test_what_cannot_be_is_told(run: Run, arguments: tuple[str, ...], kind: type[UserError], message: str) -> None:
    picture("photos/a.png", (20, 10))
    Path("empty").mkdir()
    Path("old.json").write_text("{}")
    with pytest.raises(kind) as raised:
        run(*arguments)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(path.name for path in Path().iterdir() if path.suffix == ".json") == ["old.json"]


def test_boxes_hold_heads_and_feet_and_end_at_the_photo() -> None:
    taught = Taught(
        xy=np.array([BODY + (100, 50), BODY], dtype=np.float32),
        joint_score=np.full((2, 17), 0.5, dtype=np.float32),
        score=np.array([0.5, 0.4], dtype=np.float32),
        sure=np.ones((2, 17), dtype=bool),
    )
    inner, corner = to_annotations(taught, size=(300, 300), skeleton=COCO17)
    left, top, width, height = inner["bbox"]
    assert left < 100 < 118 < left + width
    assert top < 50 < 70 < top + height
    assert corner["bbox"][:2] == [0, 0]
    # The area is that of the tracker: 1.8 spreads squared.
    spread = np.sqrt(((BODY - BODY.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert inner["area"] == pytest.approx((1.8 * spread) ** 2, abs=0.06)


def test_the_boxes_of_a_mirrored_photo_are_mirrored() -> None:
    """Joints count from the centre of the first pixel, boxes from its corner."""
    size = np.array([300, 240])
    xy = np.stack([BODY + (100, 50), size - 1 - (BODY + (100, 50))]).astype(np.float32)
    sure = np.ones((2, 17), dtype=bool)
    taught = Taught(xy=xy, joint_score=0.5 * sure, score=np.array([0.5, 0.4], dtype=np.float32), sure=sure)
    one, mirrored = (np.array(entry["bbox"]) for entry in to_annotations(taught, size=(300, 240), skeleton=COCO17))
    np.testing.assert_allclose(mirrored[:2], size - (one[:2] + one[2:]), atol=0.02)
    np.testing.assert_allclose(mirrored[2:], one[2:], atol=0.02)


def test_thresholds_are_those_of_the_teacher(run: Run) -> None:
    picture("photos/a.png")
    assert run("photos", "-o", "labels.json") == 0
    assert content()["info"]["thresholds"] == asdict(TeacherConfig())


def test_the_network_labels_drawn_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three frames through the real network at two sizes: who is labelled stands where they were drawn."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    clip = list(draw(SampleConfig(seconds=2)))[::20]
    for sample in clip:
        cv2.imwrite(f"photos/{sample.frame.index:03d}.png", sample.frame.image[..., ::-1])
    code = app(
        ["label", "photos", "-o", "l.json", "--short-sides", "224,288", "--no-mirror", "-q"], standalone_mode=False
    )
    assert not code
    photos = read_photos(Path("l.json"), Path("photos"), skeleton=COCO17)
    joints = [COCO17.index("left_shoulder"), COCO17.index("right_hip")]
    errors = [
        np.linalg.norm(sample.truth.xy[:, joints] - person[joints], axis=2).mean(axis=1).min()
        for photo, sample in zip(photos, clip, strict=True)
        for person in photo.xy
    ]
    assert len(errors) >= 6
    assert np.median(errors) < 4
