"""The loop: an interrupted training ends as an uninterrupted one, and two processes as one with twice the batch."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models import weights
from models.cluster_net import ClusterNet, ClusterNetConfig
from models.losses import LossConfig
from models.targets import Labels
from posetrack_app.errors import InputError, UsageError, UserError
from posetrack_app.training import log as logs
from posetrack_app.training.config import OptimizerSettings, RunSettings, TrainingSettings
from posetrack_app.training.keeping import Keeper
from posetrack_app.training.loop import Trainer, train
from posetrack_app.training.sampling import Batch
from posetrack_app.training.team import Team, join_team

NETWORK = ClusterNetConfig(
    name="mini", channels=8, depth=1, block="plain", dense=(1, 1), sparse=(17, 17), branch_channels=18, in_branch=True
)
SIDE = 32
SETTINGS = TrainingSettings(
    optimizer=OptimizerSettings(name="adamw", rate=1e-3, schedule="cosine", warmup_steps=2, weight_decay=0.01),
    loss=LossConfig(peak_weight=10, push="laplace"),
    run=RunSettings(steps=6, batch=4, average=0.9, log_every=1, check_every=3, save_every=100),
)


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the log would have been drawn, which takes longer than these trainings."""
    paths: list[Path] = []
    monkeypatch.setattr(logs, "draw", lambda rows, path: paths.append(path))
    return paths


class Blobs:
    """Two people a picture, whose joints are bright pixels."""

    def __init__(self, batch: int) -> None:
        self.size = batch

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
        chance = torch.Generator().manual_seed(step)
        cells = SIDE // 4
        xy = torch.randint(0, cells, (self.size, 2, 17, 2), generator=chance).float()
        images = 100 * torch.rand(self.size, 3, SIDE, SIDE, generator=chance)
        for number, people in enumerate(xy.long().flatten(1, 2)):
            images[number, :, 4 * people[:, 1] + 1, 4 * people[:, 0] + 1] = 255
        mine = slice(rank * self.size // world, (rank + 1) * self.size // world)
        labels = Labels(
            xy=xy[mine],
            labelled=torch.ones(len(xy[mine]), 2, 17, dtype=torch.bool),
            size=torch.full((len(xy[mine]), 2), 4.0),
            unknown=torch.zeros(len(xy[mine]), 17, cells, cells, dtype=torch.bool),
        )
        return Batch(images=images[mine], labels=labels)

    def close(self) -> None:
        pass


def trainer_of(settings: TrainingSettings = SETTINGS, team: Team | None = None) -> Trainer:
    torch.manual_seed(0)
    team = team or Team(torch.device("cpu"))
    steps = settings.run.steps
    return Trainer(ClusterNet(NETWORK), Blobs(settings.run.batch), settings, total=steps, photos=8, team=team)


def run(folder: Path, settings: TrainingSettings = SETTINGS, *, until: int | None = None, **options: Any) -> Trainer:
    """Train in a folder, on from where it was; `until` a step."""
    trainer = trainer_of(settings)
    keeper = Keeper(folder, **options)
    keeper.resume(trainer)
    keeper.begin(step=trainer.step, leads=True)
    train(trainer, keeper, stop=lambda: trainer.step == until)
    return trainer


def same(one: Any, other: Any) -> bool:
    """Whether two trees of states are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def state_of(trainer: Trainer) -> dict[str, Any]:
    return {key: value for key, value in trainer.state_dict().items() if key != "seconds"}


@pytest.mark.parametrize("until", [3, 2])  # at a measurement, and between
def test_interrupted_and_resumed_is_uninterrupted(until: int, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    first = run(tmp_path / "parts", until=until)
    assert first.step == until
    second = run(tmp_path / "parts")
    assert whole.step == second.step == 6
    assert same(state_of(whole), state_of(second))
    assert not same(state_of(whole), state_of(first))
    rows = [logs.read(tmp_path / name / "log.csv") for name in ("whole", "parts")]
    timed = {"seconds", "data_share"}
    for one, other in zip(*rows, strict=True):
        assert {k: v for k, v in one.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}
    last = [weights.load(tmp_path / name / "last.safetensors").state_dict() for name in ("whole", "parts")]
    assert same(*last)


def test_a_kill_loses_only_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    killed = trainer_of()
    keeper = Keeper(tmp_path / "killed")
    keeper.begin(step=0, leads=True)

    def kill() -> bool:
        if killed.step == 5:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        train(killed, keeper, stop=kill)
    assert [row["step"] for row in logs.read(tmp_path / "killed" / "log.csv")] == [1, 2, 3, 4]
    assert same(state_of(whole), state_of(run(tmp_path / "killed")))
    assert [row["step"] for row in logs.read(tmp_path / "killed" / "log.csv")] == [1, 2, 3, 4, 5, 6]


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    run(tmp_path, until=3)
    (path,) = (tmp_path / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"checkpoint .*step-000000003.pt cannot be read .*remove it"):
        run(tmp_path)


def test_another_configuration_does_not_go_on(tmp_path: Path) -> None:
    run(tmp_path, until=3)
    changed = replace(SETTINGS, optimizer=replace(SETTINGS.optimizer, rate=0.5))
    with pytest.raises(UsageError, match=r"begun otherwise: optimizer.rate is 0.5, it was 0.001; --overwrite"):
        run(tmp_path, changed)
    # What does not change the result may change.
    assert run(tmp_path, replace(SETTINGS, run=replace(SETTINGS.run, log_every=2))).step == 6


def test_accumulated_batches_are_one_large_batch() -> None:
    frozen = replace(SETTINGS, run=replace(SETTINGS.run, freeze_norms=True))
    whole = trainer_of(frozen)
    parts = trainer_of(replace(frozen, run=replace(frozen.run, batch=2, accumulate=2)))

    class Halves(Blobs):
        def batch(self, step: int, *, rank: int = 0, world: int = 1) -> Batch:
            return super().batch(step // 2, rank=step % 2, world=2)

    parts._sampler = Halves(4)
    for _ in range(3):
        whole.take_step()
        parts.take_step()
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-3)
    assert whole.report()["loss"] == pytest.approx(parts.report()["loss"], rel=1e-5)


def test_the_network_learns() -> None:
    settings = replace(SETTINGS, run=replace(SETTINGS.run, steps=60), optimizer=OptimizerSettings(rate=1e-2))
    trainer = trainer_of(settings)
    losses = []
    for _ in range(60):
        trainer.take_step()
        losses.append(trainer.report()["loss"] or 0)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_bfloat16_keeps_weights_in_float32() -> None:
    torch.manual_seed(0)
    trainer = Trainer(
        ClusterNet(NETWORK), Blobs(4), SETTINGS, total=6, photos=8, team=Team(torch.device("cpu")), precision="bfloat16"
    )
    exact = trainer_of()
    trainer.take_step()
    exact.take_step()
    assert {value.dtype for value in trainer.network.parameters()} == {torch.float32}
    loss, expected = trainer.report()["loss"], exact.report()["loss"]
    assert loss == pytest.approx(expected, rel=0.02)
    assert loss != expected


def test_a_loss_that_is_not_finite_stops_before_a_checkpoint(tmp_path: Path) -> None:
    trainer = trainer_of()
    keeper = Keeper(tmp_path)
    keeper.begin(step=0, leads=True)
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(math.nan)
    with pytest.raises(UserError, match="the loss is not finite at step 1: lower optimizer.rate"):
        train(trainer, keeper)
    assert not (tmp_path / "checkpoints").exists()


def test_best_and_last_weights_are_kept(tmp_path: Path, drawn: list[Path]) -> None:
    figures = iter([30.0, 20.0])
    measured = []

    def measure(path: Path) -> float:
        measured.append(weights.load(path))
        return next(figures)

    trainer = run(tmp_path, measure=measure, notes={"data": "blobs"})
    notes = {name: weights.read_metadata(tmp_path / f"{name}.safetensors") for name in ("best", "last")}
    assert (notes["best"]["dev_ap"], notes["best"]["steps"], notes["last"]["steps"]) == ("30.00", "3 of 6", "6 of 6")
    assert notes["best"]["data"] == "blobs"
    assert [row["dev_ap"] for row in logs.read(tmp_path / "log.csv")] == [None, None, 30, None, None, 20]
    # What is measured and saved is the average, in half precision.
    expected = ClusterNet(NETWORK)
    trainer.average.copy_to(expected)
    for name, value in measured[-1].state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected.state_dict()[name].half().float())
    assert not same(dict(expected.named_parameters()), dict(trainer.network.named_parameters()))
    assert drawn == [tmp_path / "log.svg"] * 2
    assert not list(tmp_path.rglob("*partial*"))


def test_the_best_figure_survives_a_resume(tmp_path: Path) -> None:
    run(tmp_path, until=3, measure=lambda path: 30.0)
    run(tmp_path, measure=lambda path: 20.0)
    assert weights.read_metadata(tmp_path / "best.safetensors")["steps"] == "3 of 6"


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    run(tmp_path, replace(SETTINGS, run=replace(SETTINGS.run, save_every=1, keep=2)))
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000000005.pt", "step-000000006.pt"]


_TWO = """
import sys, torch
sys.path[:0] = [{folder!r}, {root!r}]
torch.set_num_threads(1)
from test_loop import *
with join_team("cpu") as team:
    trainer = trainer_of(FROZEN, team)
    rows = []
    for _ in range(3):
        trainer.take_step()
        rows.append(trainer.report())
    if team.leads:
        torch.save({{"rows": rows, "network": trainer.network.state_dict()}}, sys.argv[1])
"""
FROZEN = replace(SETTINGS, run=replace(SETTINGS.run, freeze_norms=True, accumulate=2))


def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(_TWO.format(folder=str(Path(__file__).parent), root=str(Path(__file__).parents[3])))
    # torchrun holds the port that it chooses; one that a test finds free may be taken when it is used
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(script), str(tmp_path / "two.pt")]
    done = subprocess.run(command, timeout=240, capture_output=True, text=True)
    if "terminate called without an active exception" in done.stderr:  # PyTorch's own threads, seen under load
        done = subprocess.run(command, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    two = torch.load(tmp_path / "two.pt", weights_only=True)

    one = trainer_of(FROZEN)
    for row in two["rows"]:
        one.take_step()
        expected = one.report()
        for name in set(expected) - {"seconds", "data_share", "dev_ap"}:
            assert row[name] == pytest.approx(expected[name], rel=1e-4), name
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(two["network"][name], value, atol=2e-5, rtol=1e-3)


def test_alone_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_team("cpu") as team:
        assert (team.rank, team.world, team.leads) == (0, 1, True)
        assert team.any(True)
        assert not team.any(False)
