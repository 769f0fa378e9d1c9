"""The training loop: batches in, better weights out.

One process trains with the first command, four on one machine with the second:

    python -m posetrack_app train configs/training/small.toml --out runs/small
    torchrun --nproc-per-node 4 -m posetrack_app train configs/training/coco.toml --out runs/coco
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.cluster_net import ClusterNet
from models.losses import Losses, loss
from posetrack_app.errors import UserError
from posetrack_app.training.config import TrainingSettings
from posetrack_app.training.keeping import Keeper, Row
from posetrack_app.training.optimizing import Average, freeze_norms, make_optimizer, rate_factor, set_rate
from posetrack_app.training.sampling import Batch, Sampler
from posetrack_app.training.team import Team

__all__ = ["Trainer", "train"]


class Trainer:
    """Network, optimizer and averaged weights, and how a step changes them."""

    def __init__(
        self,
        network: ClusterNet,
        sampler: Sampler,
        settings: TrainingSettings,
        *,
        total: int,
        photos: int,
        team: Team,
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        """Begin at step 0; `load_state_dict` goes on from another.

        Args:
            network: What is trained; it is changed.
            sampler: Where batches come from.
            settings: All of them.
            total: Steps of the whole training.
            photos: How many an epoch has.
            team: This process, and the others.
            precision: Arithmetic of the network.
        """
        run = settings.run
        self.settings, self.total, self.photos, self.team = settings, total, photos, team
        self.step = 0
        """Steps that are done."""
        self._sampler = sampler
        self._half = precision == "bfloat16"
        self._format = torch.channels_last if run.channels_last else torch.contiguous_format
        self.network = network.to(team.device, memory_format=self._format).train()  # type: ignore[call-overload]
        if run.freeze_norms:
            freeze_norms(self.network)
        self.optimizer = make_optimizer(self.network, settings.optimizer)
        self.average = Average(self.network, keep=run.average)
        self._parallel = team.wrap(self.network)
        self._model: Callable[[Tensor], Any] = torch.compile(self._parallel) if run.compile else self._parallel
        self._seconds, self._window = 0.0, _Window()

    def take_step(self) -> None:
        """One step of the optimizer."""
        started = time.perf_counter()
        run, optimizer = self.settings.run, self.settings.optimizer
        set_rate(self.optimizer, rate_factor(self.step, self.total, optimizer))
        for part in range(run.accumulate):
            batch = self._next_batch(part)
            # Processes add up their gradients once a step.
            with self._alone() if part + 1 < run.accumulate else contextlib.nullcontext():
                losses = self.losses(batch)
                (losses.total / run.accumulate).backward()  # type: ignore[no-untyped-call]
            self._window.add(losses, batch)
        length = nn.utils.clip_grad_norm_(self.network.parameters(), optimizer.clip or math.inf)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.network)
        self.step += 1
        self._window.gradients.append(length)
        self._window.seconds += time.perf_counter() - started

    def losses(self, batch: Batch) -> Losses:
        """What the network's mistakes on a batch cost, with the gradient."""
        with torch.autocast(self.team.device.type, dtype=torch.bfloat16, enabled=self._half):
            outputs = self._model(batch.images.contiguous(memory_format=self._format))
        return loss(outputs, batch.labels, self.network.config, self.settings.loss)

    def report(self) -> Row:
        """A row of the log: means over the steps since the last row. Every process must ask.

        Raises:
            UserError: the loss is not finite any more.
        """
        run, window = self.settings.run, self._window
        means = self.team.mean(window.means()).tolist()
        self._seconds += window.seconds
        samples = self.step * run.batch * run.accumulate
        row: Row = {
            "step": self.step,
            "epoch": samples / self.photos,
            "seconds": self._seconds,
            "samples": samples,
            "rate": self.optimizer.param_groups[-1]["lr"],
            "data_share": window.data_seconds / max(window.seconds, 1e-9),
            "dev_ap": None,
            **dict(zip(window.names, means, strict=True)),
        }
        self._window = _Window()
        if not all(map(math.isfinite, means)):
            raise UserError(
                f"the loss is not finite at step {self.step}: lower optimizer.rate, or raise optimizer.warmup_steps; "
                "the last checkpoint is from before"
            )
        return row

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; batches depend on its number alone."""
        return {
            "step": self.step,
            "seconds": self._seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.step, self._seconds = state["step"], state["seconds"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])

    def _next_batch(self, part: int) -> Batch:
        started = time.perf_counter()
        number = self.step * self.settings.run.accumulate + part
        batch = self._sampler.batch(number, rank=self.team.rank, world=self.team.world)
        self._window.data_seconds += time.perf_counter() - started
        return batch

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep gradients in this process for now."""
        if isinstance(self._parallel, nn.parallel.DistributedDataParallel):
            return self._parallel.no_sync()
        return contextlib.nullcontext()


class _Window:
    """What is gathered for the next row of the log; it stays on the device until the row is written."""

    def __init__(self) -> None:
        self.seconds = self.data_seconds = 0.0
        self.gradients: list[Tensor] = []
        self._values: list[Tensor] = []
        self._terms: list[str] = []

    def add(self, losses: Losses, batch: Batch) -> None:
        joints = batch.labels.labelled.sum() / len(batch.images)
        self._terms = list(losses.terms)
        self._values.append(torch.stack([losses.total.detach(), losses.crowded, joints, *losses.terms.values()]))

    @property
    def names(self) -> list[str]:
        """Of the means, in order."""
        return ["gradient", "loss", "crowded", "joints", *self._terms]

    def means(self) -> Tensor:
        """(C,): over the window's steps."""
        return torch.cat([torch.stack(self.gradients).mean()[None], torch.stack(self._values).mean(dim=0)])


def train(
    trainer: Trainer,
    keeper: Keeper,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Row], None] = lambda row: None,
) -> bool:
    """Train until the end, or until somebody says stop; what was reached is on the disk then.

    Args:
        trainer: What takes the steps.
        keeper: What writes log, checkpoints and weights, in the process that leads.
        stop: Asked after every step.
        progress: Told every row of the log.

    Returns:
        Whether the end was reached.

    Raises:
        UserError: the loss is not finite any more.
        OutputError: something cannot be written.
    """
    run = trainer.settings.run
    while trainer.step < trainer.total:
        trainer.take_step()
        halt = trainer.team.any(stop())
        check = trainer.step % run.check_every == 0 or trainer.step == trainer.total
        save = check or halt or trainer.step % run.save_every == 0
        if save or trainer.step % run.log_every == 0:
            row = trainer.report()
            if trainer.team.leads:
                if check:
                    row["dev_ap"] = keeper.check(trainer)
                elif halt:
                    keeper.write_last(trainer)
                keeper.log(row)
                if save:
                    keeper.save(trainer)
                if check or halt:
                    keeper.draw()
                progress(row)
            if check:
                trainer.team.wait()
        if halt:
            break
    return trainer.step == trainer.total
