"""`train` as a user meets it: on drawn photos, with a network that is trained in a moment."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from models import weights
from models.cluster_net import ClusterNet, ClusterNetConfig
from models.skeleton import COCO17, POSETRACK15
from posetrack_app.cli import app
from posetrack_app.errors import InputError, UsageError, WeightsError
from posetrack_app.training import log as logs
from posetrack_app.training import setup
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.config import DataSettings, PhotoSet, TrainingSettings
from posetrack_app.training.loop import Trainer

Run = Callable[..., int]

_CONFIG = """
[network.configuration]
name = "mini"
channels = 8
depth = 1
block = "plain"
sparse = [17]
branch_channels = 17
[[data.sets]]
annotations = "photos/train.json"
[data]
side = 32
[run]
steps = 4
batch = 2
precision = "float32"
log_every = 1
check_every = 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: drawn photos of one bright person each, and a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    (tmp_path / "photos").mkdir()
    chance = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 5):
        picture = chance.integers(0, 90, (48, 64, 3), dtype=np.uint8)
        xy = chance.integers(8, 40, (17, 2))
        picture[xy[:, 1], xy[:, 0]] = 255
        cv2.imwrite(f"photos/{number}.png", picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        keypoints = np.column_stack([xy, np.full(17, 2)]).ravel().tolist()
        annotations.append(
            {"id": number, "image_id": number, "keypoints": keypoints, "bbox": [8, 8, 32, 32], "area": 1000.0}
        )
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    Path("photos/train.json").write_text(json.dumps(truth))
    Path("train.toml").write_text(_CONFIG)
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Run:
    """Run `train` in this process; gives its exit code."""

    def train(*arguments: str) -> int:
        return int(
            app(["train", "train.toml", "--out", "out", "--device", "cpu", *arguments], standalone_mode=False) or 0
        )

    return train


def test_a_training_writes_what_it_promises(folder: Path, call: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--set", "dev.annotations=photos/train.json", "--steps", "2") == 0
    names = {path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*") if path.is_file()}
    assert {"log.csv", "log.svg", "last.safetensors", "checkpoints/step-000000002.pt"} <= names
    assert not [name for name in names if "partial" in name]
    printed = capsys.readouterr().out
    assert "4 photos" in printed
    assert "train  " in printed  # the source is called as the file
    assert "out: done at step 2 of 2, best AP" in printed
    notes = weights.read_metadata(folder / "out" / "last.safetensors")
    assert (notes["steps"], notes["samples"], notes["data"], notes["init"]) == (
        "2 of 2",
        "4",
        "train 4",
        "random numbers",
    )
    assert weights.load(folder / "out" / "last.safetensors").config.name == "mini"


def test_the_example_of_the_help_is_a_setting(call: Run) -> None:
    text = " ".join(CliRunner().invoke(app, ["train", "--help"]).output.split())
    (example,) = re.findall(r"as in (\S+=\S+)\.", text)
    assert call("--set", example, "--steps", "1", "--quiet") == 0


def test_no_time_stops_after_a_step_and_the_same_command_goes_on(
    folder: Path, call: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--minutes", "0") == 0
    assert "out: stopped at step 1 of 4" in capsys.readouterr().out
    assert (folder / "out" / "last.safetensors").exists()
    assert call() == 0
    printed = capsys.readouterr().out
    assert "out: goes on from step 1 of 4" in printed
    assert "out: done at step 4 of 4" in printed
    assert [row["step"] for row in logs.read(folder / "out" / "log.csv")] == [1, 2, 3, 4]
    # A training that is complete is left as it is.
    assert call() == 0
    assert "out: done at step 4 of 4" in capsys.readouterr().out
    assert [row["step"] for row in logs.read(folder / "out" / "log.csv")] == [1, 2, 3, 4]


def test_an_interrupt_stops_after_the_step(
    folder: Path, call: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take_step = Trainer.take_step

    def interrupted(trainer: Trainer) -> None:
        if trainer.step == 1:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)  # as torchrun does
        take_step(trainer)

    monkeypatch.setattr(Trainer, "take_step", interrupted)
    before = signal.getsignal(signal.SIGINT)
    assert call() == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "out: stopped at step 2 of 4" in capsys.readouterr().out
    assert [path.name for path in (folder / "out" / "checkpoints").iterdir()] == ["step-000000002.pt"]


def test_a_second_interrupt_ends_at_once(folder: Path, call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(trainer: Trainer) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "take_step", interrupted)
    # Typer's versions differ in what becomes of it here; a process ends with 130 by each.
    with suppress(KeyboardInterrupt, typer.Abort):
        assert call() == 130
    assert not (folder / "out" / "checkpoints").exists()


def test_another_configuration_needs_overwrite(folder: Path, call: Run) -> None:
    assert call("--minutes", "0") == 0
    with pytest.raises(UsageError, match=r"out was begun otherwise: optimizer.rate is 0.5, it was 0.0002; --overwrite"):
        call("--set", "optimizer.rate=0.5")
    assert call("--set", "optimizer.rate=0.5", "--minutes", "0", "--overwrite") == 0
    assert [row["step"] for row in logs.read(folder / "out" / "log.csv")] == [1]


def test_check_draws_a_batch_and_trains_nothing(folder: Path, call: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--check") == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["check.png"]
    picture = cv2.imread("out/check.png")
    assert picture is not None
    assert picture.max() == 255
    printed = capsys.readouterr().out
    assert "a batch of 2 pictures" in printed
    assert "sparse_0_push" in printed


def test_what_cannot_be_is_told(call: Run) -> None:
    for assignment, message in {
        "data.side=33": "data.side is 33, it must be a multiple of 8 for 'mini'",
        "data.sets=[]": "data.sets is empty",
        "run.epochs=3": "run.epochs is 3 and run.steps is 4",
        "data.shares.coc=2": "data.shares: no photo is of source 'coc'",
        "rum.steps=3": "did you mean 'run'",
    }.items():
        with pytest.raises(UsageError, match=message):
            call("--set", assignment)
    with pytest.raises(InputError, match=r"data.sets\[0\]: no annotations at .*none.json"):
        call("--set", 'data.sets=[{annotations="none.json"}]')
    with pytest.raises(InputError, match=r"data.sets\[0\]: no folder of images at .*nowhere"):
        call("--set", 'data.sets=[{annotations="photos/train.json", images="nowhere"}]')
    with pytest.raises(WeightsError, match="weights 'none' are neither a file nor a shipped name"):
        call("--init", "none")


def test_a_photo_that_is_no_picture_is_named(folder: Path, call: Run) -> None:
    (folder / "photos" / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"3\.png"):
        call()
    (folder / "photos" / "3.png").unlink()
    with pytest.raises(InputError, match=r"3\.png"):
        call()


def test_weights_of_another_skeleton_are_taken_over(folder: Path, call: Run) -> None:
    call("--steps", "1")
    old = weights.load("out/last.safetensors")
    settings = TrainingSettings()
    settings = replace(settings, network=replace(settings.network, init="out/last.safetensors"))
    config = replace(old.config, skeleton="posetrack15", sparse=(15,))
    new = setup.make_network(settings, config).eval()
    assert isinstance(new, ClusterNet)
    images = 255 * torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        was, now = (network(images)[0].sparse_heatmaps for network in (old, new))
    torch.testing.assert_close(now[:, POSETRACK15.index("nose")], was[:, COCO17.index("nose")], atol=1e-4, rtol=1e-4)


def test_the_seed_decides_about_random_weights() -> None:
    config = ClusterNetConfig(name="mini", channels=8, depth=1, sparse=(17,), branch_channels=17)

    def weight(seed: int) -> torch.Tensor:
        settings = TrainingSettings()
        run = replace(settings.run, seed=seed)
        network = setup.make_network(replace(settings, run=run), config)
        return network.sparse[0].weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))


@pytest.mark.parametrize(("scale", "says"), [(1.0, 0), (1.3, 1), (2.0, 1), (10.0, 2)])
def test_labels_of_larger_pictures_are_doubted(folder: Path, scale: float, says: int) -> None:
    """As where photos were shrunk and their labels were not."""
    path = Path("photos/train.json")
    content = json.loads(path.read_text())
    outside = []
    for person in content["annotations"]:
        points = np.reshape(person["keypoints"], (17, 3)) * [scale, scale, 1]
        person["keypoints"] = points.ravel().tolist()
        outside += ((points[:, 0] > 63.5) | (points[:, 1] > 47.5)).tolist()
    path.write_text(json.dumps(content))
    photos = [replace(photo, source="drawn") for photo in read_photos(path, skeleton=COCO17)]
    doubts = [doubt for doubt in setup.doubts(photos, COCO17) if "never" not in doubt]
    assert len(doubts) == says
    if says:
        share = round(100 * np.mean(outside))
        assert doubts[-1] == f"'drawn': {share} % of the labelled joints lie beyond their photo: other pictures?"
    if scale == 10:
        assert share == 100
        assert doubts[0] == "no joint is labelled in any photo: are these the right annotations?"


def test_labels_that_do_not_fit_their_pictures_are_doubted(folder: Path) -> None:
    settings = TrainingSettings(data=DataSettings(sets=(PhotoSet(annotations="photos/train.json", name="drawn"),)))
    photos = setup.read_sets(settings, COCO17)
    assert {photo.source for photo in photos} == {"drawn"}
    assert setup.doubts(photos, COCO17) == []
    nothing = [replace(photo, labelled=np.zeros_like(photo.labelled)) for photo in photos]
    assert setup.doubts(nothing, COCO17) == ["no joint is labelled in any photo: are these the right annotations?"]
    other = read_photos(Path("photos/train.json"), skeleton=POSETRACK15)
    assert setup.doubts(other, POSETRACK15) == ["never labelled, so never learned: head_bottom, head_top"]
