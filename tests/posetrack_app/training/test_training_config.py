"""Settings of a training: those that ship can be read, and what is wrong is named."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from models.cluster_net import ClusterNetConfig
from posetrack_app.training import config
from posetrack_app.training.config import (
    OptimizerSettings,
    RunSettings,
    TrainingSettings,
    differences,
    length_of,
    read_network,
)
from posetrack_app.training.setup import make_network

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return path


def shipped(name: str) -> tuple[TrainingSettings, ClusterNetConfig]:
    settings = config.load(ROOT / "configs" / "training" / f"{name}.toml")
    return settings, read_network(settings.network.configuration)


def test_coco_is_the_paper() -> None:
    settings, network = shipped("coco")
    assert (network.name, network.stacks, network.skeleton) == ("in_cross_branch", 4, "coco17")
    assert (settings.data.side, settings.run.batch, settings.run.epochs) == (512, 8, 200)
    optimizer = settings.optimizer
    assert (optimizer.name, optimizer.rate, optimizer.milestones) == ("adam", 2e-4, (150 / 200,))
    assert optimizer.rate * optimizer.factor == pytest.approx(1e-5)
    loss = settings.loss
    assert (loss.push, loss.tag_weight, loss.margin, loss.offset) == ("gaussian", 1e-3, 4, 0.03)


def test_posetrack_is_the_paper() -> None:
    settings, network = shipped("posetrack")
    assert network == replace(shipped("coco")[1], name=network.name, skeleton="posetrack15", sparse=(15, 15, 15, 15))
    assert settings.run.epochs == 20
    optimizer = settings.optimizer
    assert (optimizer.rate, optimizer.milestones) == (1e-5, (15 / 20,))
    assert optimizer.rate * optimizer.factor == pytest.approx(1e-6)


def test_small_goes_on_from_the_shipped_weights() -> None:
    settings, network = shipped("small")
    assert (settings.network.init, network.name) == ("small", "small")


def test_finetune_is_small_with_the_joints_of_posetrack() -> None:
    settings, network = shipped("finetune")
    own = {"name": network.name, "skeleton": "posetrack15", "sparse": (15, 15)}
    assert settings.network.init == "small"
    assert network == replace(shipped("small")[1], **own)
    assert make_network(settings, network).config.joints.joints[1:3] == ("head_bottom", "head_top")
    assert (settings.loss.push, settings.loss.peak_weight, settings.loss.tag_weight) == ("laplace", 10, 0.01)
    assert length_of(settings.run, 4366) == settings.run.steps


def test_every_setting_says_what_it_does() -> None:
    def look(kind: type) -> None:
        source = inspect.getsource(kind)
        hints = get_type_hints(kind)
        for item in fields(kind):
            if is_dataclass(hints[item.name]):
                look(hints[item.name])  # type: ignore[arg-type]
            else:
                _, _, after = source.partition(f"    {item.name}: ")
                assert after.split("\n", 1)[1].lstrip().startswith('"""'), f"{kind.__name__}.{item.name}"

    look(TrainingSettings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[optimiser]\n", "unknown key 'optimiser'; did you mean 'optimizer'?"),
        ("[optimizer]\nrat = 1\n", "unknown key 'optimizer.rat'; did you mean 'optimizer.rate'?"),
        ("[[data.sets]]\nanotations = 'x'\n", "unknown key 'data.sets[0].anotations'; did you mean"),
        ("[[data.sets]]\nimages = 'x'\n", "missing required field `annotations`"),
        ("[data]\nside = 8\n", "side is 8, it must be at least 32 pixels"),
        ("[data]\nshares = {coco = -1}\n", "shares of 'coco' is -1"),
        ("[optimizer]\nmilestones = [150]\n", "milestones are [150.0], they must be parts of the training"),
        ("[optimizer]\nname = 'sgd'\n", "optimizer.name"),
        ("[run]\nbatch = 0\n", "batch is 0, it must be at least 1"),
        ("[run]\naverage = 1.0\n", "average is 1.0"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train.toml") as caught:
        config.load(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_assignments_lie_over_the_file(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, "[optimizer]\nrate = 1e-3\n"))
    settings = config.override(settings, ["run.batch=3", 'data.sets=[{annotations="a.json"}]', "data.shares.x=2"])
    assert (settings.optimizer.rate, settings.run.batch) == (1e-3, 3)
    assert settings.data.sets[0].annotations == "a.json"
    assert settings.data.shares == {"x": 2}
    with pytest.raises(ValueError, match="write key=value, as in optimizer.rate=1e-4"):
        config.override(settings, ["run.batch"])


def test_the_length_is_said_once() -> None:
    assert length_of(RunSettings(epochs=200, batch=8), 1000) == 25000
    assert length_of(RunSettings(epochs=2, batch=8, accumulate=5), 100) == 5
    assert length_of(RunSettings(epochs=0.001), 8) == 1
    assert length_of(RunSettings(steps=7), 1000) == 7
    for both in (RunSettings(), RunSettings(epochs=1, steps=1)):
        with pytest.raises(ValueError, match="one of them must say how long"):
            length_of(both, 1000)


def test_a_network_by_name_path_or_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_network("tiny").name == "tiny"
    (tmp_path / "mine.toml").write_text('name = "mine"\nchannels = 32\n')
    assert read_network("mine.toml").channels == 32
    assert read_network({"name": "mine", "channels": 16}).channels == 16
    (tmp_path / "configs" / "models").mkdir(parents=True)
    (tmp_path / "configs" / "models" / "tiny.toml").write_text('name = "my tiny"\n')
    assert read_network("tiny").name == "my tiny"
    with pytest.raises(ValueError, match=r"network.configuration 'huge' is no file; looked for .*huge.toml"):
        read_network("huge")
    (tmp_path / "mine.toml").write_text('name = "mine"\nchanels = 32\n')
    with pytest.raises(ValueError, match=r"mine.toml: .*unknown key 'chanels'"):
        read_network("mine.toml")


def test_what_has_changed_is_named_and_what_does_not_matter_is_not() -> None:
    before = msgspec.to_builtins(TrainingSettings())
    assert differences(before, TrainingSettings()) == []
    now = TrainingSettings(optimizer=OptimizerSettings(rate=0.1), run=RunSettings(log_every=3, batch=9))
    assert differences(before, now) == ["optimizer.rate is 0.1, it was 0.0002", "run.batch is 9, it was 8"]
    del before["run"]["batch"]
    assert "run.batch is 9, it was not there" in differences(before, now)
