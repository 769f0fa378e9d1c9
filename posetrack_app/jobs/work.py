"""One input of many, from its first frame to its folder: what every worker does, in whatever process and machine."""

from __future__ import annotations

import os
import shutil
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

import cv2

from posetrack_app import pipeline
from posetrack_app.config import Settings
from posetrack_app.errors import OutputError, UserError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats.saving import partial_of
from posetrack_app.jobs.ledger import ATTEMPTS, RESULTS, Job, Outcome, Sign, State, finished
from posetrack_app.journal import NAME
from posetrack_app.video import VideoInfo

__all__ = ["keep_to_share", "work"]

_SIGN_SECONDS = 2.0

Opened = Callable[[VideoInfo], pipeline.Progress]
"""Called when an input is open; gives the function to call for each finished frame."""


def work(
    job: Job, settings: Settings, estimator: PoseEstimator, *, opened: Opened = lambda info: lambda: None
) -> Outcome:
    """Do one input, unless it is done.

    The files are written into a folder of this attempt and move to the input's folder when all are complete: if the
    same input is under way twice, as when a cluster takes a machine for dead that is not, neither harms the other.
    What the network saw is kept beside: an input that was broken off goes on from there, whoever does it.

    Raises:
        KeyboardInterrupt: After what was finished was put into the input's folder, under `.partial` names.
        Exception: A mistake of the program, after the same.
    """
    if told := finished(job.folder):
        return Outcome.of_run(job.folder, told)
    attempt = _Attempt(job)
    try:
        attempt.begin()
        report = pipeline.run(
            job.source,
            attempt.folder,
            settings=settings,
            estimator=estimator,
            opened=attempt.watch(opened),
            kept=job.folder / NAME,
        )
        attempt.complete()
    except Exception as error:
        if told := finished(job.folder):  # by somebody else, who then took this attempt's files away
            return Outcome.of_run(job.folder, told)
        if isinstance(error, UserError):
            attempt.give_up("failed", str(error))
            return Outcome.failure(job, error)
        attempt.give_up("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
        raise
    except BaseException:
        attempt.give_up("interrupted")
        raise
    return Outcome.of_run(job.folder, asdict(report))


def keep_to_share() -> None:
    """Let OpenCV take no more threads than the network, which has the number from OMP_NUM_THREADS."""
    if threads := os.environ.get("OMP_NUM_THREADS"):
        cv2.setNumThreads(int(threads))


class _Attempt:
    """A folder that is being written, and the signs of life in it."""

    def __init__(self, job: Job) -> None:
        self.folder = job.folder / ATTEMPTS.replace("*", uuid.uuid4().hex[:8])
        self._final = job.folder
        self._sign = Sign(input=job.source.shown)
        self._next_sign = 0.0

    def begin(self) -> None:
        """Make the folder."""
        try:
            self.folder.mkdir(parents=True)
            self._sign.write(self.folder)
        except OSError as error:
            raise OutputError(f"cannot make the folder {self.folder}: {error.strerror or error}") from None

    def watch(self, opened: Opened) -> Opened:
        """The same as `opened`, with signs of life."""

        def watched(info: VideoInfo) -> pipeline.Progress:
            self._sign = replace(self._sign, frames_expected=info.frames_expected)
            progress = opened(info)

            def step() -> None:
                self._step()
                progress()

            return step

        return watched

    def _step(self) -> None:
        self._sign = replace(self._sign, frames=self._sign.frames + 1)
        if (now := time.monotonic()) >= self._next_sign:
            self._next_sign = now + _SIGN_SECONDS
            with suppress(OSError):  # a sign that is missed costs nothing
                self._sign.write(self.folder)

    def complete(self) -> None:
        """Move the files to where they belong, run.json last; nothing is left of attempts and of an earlier run."""
        try:
            for name in RESULTS:
                if (self.folder / name).exists():
                    (self.folder / name).replace(self._final / name)
                else:
                    (self._final / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self._final}: {error.strerror or error}") from None
        with suppress(OSError):
            shutil.rmtree(self._final / NAME, ignore_errors=True)
            (self._final / "job.json").unlink(missing_ok=True)
            for name in RESULTS:
                partial_of(self._final / name).unlink(missing_ok=True)
        for other in self._final.glob(ATTEMPTS):
            shutil.rmtree(other, ignore_errors=True)

    def give_up(self, state: State, error: str | None = None, details: str | None = None) -> None:
        """Leave what was finished, and why it is not more; a disk that refuses has been told of already."""
        with suppress(OSError):
            if finished(self._final):
                return
            replace(self._sign, state=state, error=error, details=details).write(self._final)
            for path in [partial_of(self.folder / name) for name in RESULTS]:
                if path.exists():
                    path.replace(self._final / path.name)
        shutil.rmtree(self.folder, ignore_errors=True)
