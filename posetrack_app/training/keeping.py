"""What a training leaves in its folder: log, checkpoints, the last and the best weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from models import weights
from models.cluster_net import ClusterNet
from models.losses import collapsed
from posetrack_app.errors import OutputError, UsageError
from posetrack_app.training import checkpoints
from posetrack_app.training import log as logs
from posetrack_app.training.config import TrainingSettings, differences
from posetrack_app.training.optimizing import Average

__all__ = ["Keeper", "Row", "clear"]

Row = dict[str, float | None]
"""A row of the log: values by column."""

_EARLY_STEPS = 500
"""Before, tags have had no time to part."""


class _Trainer(Protocol):
    """What is kept; `posetrack_app.training.loop.Trainer` is one."""

    settings: TrainingSettings
    total: int
    photos: int
    step: int
    network: ClusterNet
    average: Average

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Keeper:
    """Writes into a training's folder, and finds there what to go on from."""

    def __init__(
        self,
        folder: Path,
        *,
        measure: Callable[[Path], float] | None = None,
        notes: dict[str, str] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """Take a folder.

        Args:
            folder: Where; it is made when something is written.
            measure: AP of weights on the dev set, in percent; None measures nothing.
            notes: What to write into weights beside steps and AP.
            say: Told warnings.
        """
        self.best: float | None = None
        """The highest AP so far, percent."""
        self._folder, self._measure, self._notes, self._say = folder, measure, notes or {}, say
        self._log: logs.Log | None = None
        self._warned: set[str] = set()

    def resume(self, trainer: _Trainer) -> bool:
        """Let a trainer go on from the newest checkpoint; False where there is none.

        Raises:
            UsageError: the settings are not those that it was begun with.
            InputError: the checkpoint cannot be read.
        """
        path = checkpoints.latest(self._folder)
        if path is None:
            return False
        state = checkpoints.load(path, device=next(trainer.network.parameters()).device)
        changed = differences(state["settings"], trainer.settings)
        if changed:
            raise UsageError(f"{self._folder} was begun otherwise: {'; '.join(changed)}; --overwrite begins anew")
        if state["photos"] != trainer.photos:
            raise UsageError(
                f"{self._folder} was begun with {state['photos']} photos, now there are {trainer.photos}; "
                "--overwrite begins anew"
            )
        trainer.load_state_dict(state["trainer"])
        self.best = state["best"]
        return True

    def begin(self, *, step: int, leads: bool) -> None:
        """Make ready to write, from a step on; rows of the log beyond it are cut.

        Raises:
            OutputError: the folder cannot be made.
        """
        if not leads:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {self._folder}: {error.strerror or error}") from None
        self._log = logs.Log(self._folder / "log.csv", step=step)

    def log(self, row: Row) -> None:
        """Write a row, and warn of what it shows."""
        assert self._log is not None
        self._log.add(row)
        terms = {name: value for name, value in row.items() if name not in logs.FIRST_COLUMNS and value is not None}
        if (row["step"] or 0) >= _EARLY_STEPS:
            for branch in collapsed(terms, row["crowded"] or 0.0):
                self._warn(
                    f"the tags of {branch} are the same for everybody: people cannot be told apart by them; "
                    'use loss.push = "laplace", more pictures with several people (augmentation.mosaic), a higher '
                    "loss.tag_weight"
                )
        if row["joints"] == 0:
            self._warn("no joint is labelled in the pictures since the last row: is augmentation too strong?")

    def check(self, trainer: _Trainer) -> float | None:
        """Write the averaged weights, measure them and keep the best. AP in percent, or None."""
        last = self.write_last(trainer)
        figure = None
        if self._measure is not None:
            figure = self._measure(last)
            if self.best is None or figure > self.best:
                self.best = figure
                self._write(trainer, "best", dev_ap=figure)
        return figure

    def draw(self) -> None:
        """Draw the log."""
        logs.draw(logs.read(self._folder / "log.csv"), self._folder / "log.svg")

    def write_last(self, trainer: _Trainer) -> Path:
        """Write the averaged weights as they are."""
        return self._write(trainer, "last", dev_ap=None)

    def save(self, trainer: _Trainer) -> None:
        """Write a checkpoint."""
        state = {
            "step": trainer.step,
            "photos": trainer.photos,
            "settings": msgspec.to_builtins(trainer.settings),
            "trainer": trainer.state_dict(),
            "best": self.best,
        }
        checkpoints.save(self._folder, trainer.step, state, keep=trainer.settings.run.keep)

    def _write(self, trainer: _Trainer, name: str, *, dev_ap: float | None) -> Path:
        run = trainer.settings.run
        notes = {
            **self._notes,
            "steps": f"{trainer.step} of {trainer.total}",
            "samples": str(trainer.step * run.batch * run.accumulate),
            **({} if dev_ap is None else {"dev_ap": f"{dev_ap:.2f}"}),
        }
        network = ClusterNet(trainer.network.config)
        trainer.average.copy_to(network)
        path = self._folder / f"{name}.safetensors"
        try:
            weights.save(network, path, notes=notes)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
        return path

    def _warn(self, text: str) -> None:
        """Say something once."""
        if text not in self._warned:
            self._warned.add(text)
            self._say(f"warning: {text}")


def clear(folder: Path) -> None:
    """Take away what an earlier training left in a folder, so that one begins anew; other files stay.

    Raises:
        OutputError: it cannot be taken away.
    """
    try:
        checkpoints.remove(folder)
        for name in ("log.csv", "log.svg", "last.safetensors", "best.safetensors"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot begin anew in {folder}: {error.strerror or error}") from None
