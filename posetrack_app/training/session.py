"""A whole training put together: settings, photos, network, folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from posetrack_app.errors import OutputError, UsageError
from posetrack_app.formats.saving import saving
from posetrack_app.training import loop
from posetrack_app.training.config import TrainingSettings, length_of, read_network
from posetrack_app.training.dev import DevSet
from posetrack_app.training.keeping import Keeper, Row, clear
from posetrack_app.training.loop import Trainer
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.pictures import draw_batch
from posetrack_app.training.sampling import Sampler
from posetrack_app.training.setup import (
    doubts,
    make_network,
    notes_of,
    read_sets,
    resolve_training_precision,
    summary,
)
from posetrack_app.training.storage import open_sampler
from posetrack_app.training.team import Team

__all__ = ["Session", "open_session"]


class Session:
    """A training that is ready to begin."""

    def __init__(
        self,
        trainer: Trainer,
        sampler: Sampler,
        photos: list[LabelledPhoto],
        dev: DevSet | None,
        *,
        say: Callable[[str], None],
    ) -> None:
        """Of what `open_session` made."""
        self.trainer, self.team = trainer, trainer.team
        self.keeper: Keeper
        """What writes; there after `begin`."""
        self._sampler, self._photos, self._dev, self._say = sampler, photos, dev, say

    def begin(self, folder: Path, *, overwrite: bool) -> bool:
        """Take the folder of the training; whether it goes on from a checkpoint that was there.

        Raises:
            UsageError: a training of other settings is there.
            InputError: its checkpoint cannot be read.
            OutputError: the folder cannot be written.
        """
        trainer = self.trainer
        if overwrite and self.team.leads:
            clear(folder)
        self.team.wait()
        self.keeper = Keeper(
            folder,
            measure=None if self._dev is None else self._dev.average_precision,
            notes=notes_of(trainer.settings, self._photos, device=self.team.device, world=self.team.world),
            say=self._say,
        )
        resumed = self.keeper.resume(trainer)
        self.keeper.begin(step=trainer.step, leads=self.team.leads)
        return resumed

    def train(self, *, stop: Callable[[], bool], progress: Callable[[Row], None]) -> bool:
        """As `loop.train`."""
        return loop.train(self.trainer, self.keeper, stop=stop, progress=progress)

    def check(self, picture: Path) -> list[str]:
        """Run one batch through the network and draw it; what is to be said about it.

        Raises:
            OutputError: the picture cannot be written.
        """
        batch = self._sampler.batch(0)
        started = time.perf_counter()
        losses = self.trainer.losses(batch)
        losses.total.backward()  # type: ignore[no-untyped-call]
        seconds = time.perf_counter() - started
        drawn = draw_batch(batch, self.trainer.network.config.joints)
        with saving(picture) as partial:
            if not cv2.imwrite(str(partial), np.ascontiguousarray(drawn[..., ::-1])):
                raise OutputError(f"cannot write {picture}")
        people = batch.labels.labelled.any(dim=2).sum().item()
        return [
            f"a batch of {len(batch.images)} pictures with {people:.0f} people, {seconds:.2f} s: "
            f"loss {losses.total.item():.4g}",
            *(f"  {name:20} {value.item():.4g}" for name, value in losses.terms.items()),
            str(picture),
        ]


@contextmanager
def open_session(
    settings: TrainingSettings,
    team: Team,
    *,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Session]:
    """Read what the settings name, and make a training of it.

    Args:
        settings: All of them.
        team: The processes.
        say: Told what there is, and warnings.
        progress: Told how many photos of how many are read.

    Raises:
        UsageError: settings that do not go together.
        UserError: something that they name is missing or broken.
    """
    try:
        config = read_network(settings.network.configuration)
        side = settings.data.side
        if side % config.multiple:
            raise ValueError(f"data.side is {side}, it must be a multiple of {config.multiple} for '{config.name}'")
        if settings.run.batch % team.world:
            raise ValueError(f"run.batch is {settings.run.batch}, which {team.world} processes cannot share evenly")
        length_of(settings.run, 1)
    except ValueError as error:
        raise UsageError(str(error)) from None
    skeleton = config.joints
    dev = DevSet(settings.dev, skeleton, device=team.device.type) if settings.dev.annotations else None  # type: ignore[arg-type]
    network = make_network(settings, config)
    photos = read_sets(settings, skeleton)
    say(f"{len(photos)} photos\n{summary(photos)}")
    for doubt in doubts(photos, skeleton):
        say(f"warning: {doubt}")
    shares = {source: share for source, share in settings.data.shares.items() if share > 0}
    epoch = round(sum(shares.get(photo.source, 1.0) for photo in photos))
    sampler = open_sampler(
        photos,
        settings.augmentation,
        skeleton=skeleton,
        side=side,
        batch=settings.run.batch,
        seed=settings.run.seed,
        device=team.device,
        storage=settings.data.storage,
        workers=settings.data.workers,
        shares=shares,
        progress=progress,
    )
    try:
        trainer = Trainer(
            network,
            sampler,
            settings,
            total=length_of(settings.run, epoch),
            photos=epoch,
            team=team,
            precision=resolve_training_precision(settings.run.precision, team.device.type),
        )
        yield Session(trainer, sampler, photos, dev, say=say)
    finally:
        sampler.close()
