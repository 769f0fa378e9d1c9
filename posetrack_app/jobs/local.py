"""Many inputs in several processes of one machine, each with a network and its share of the cores of its own."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, NoReturn

from posetrack_app.config import Settings
from posetrack_app.errors import UserError
from posetrack_app.jobs.ledger import ATTEMPTS, Job, Outcome, Sign

if TYPE_CHECKING:
    from posetrack_app.pipeline import Progress
    from posetrack_app.video import VideoInfo

__all__ = ["run_in_processes"]

_TRIES = 2
_TELL_SECONDS = 0.5
_GOODBYE_SECONDS = 20.0


def run_in_processes(
    jobs: Sequence[Job],
    settings: Settings,
    *,
    workers: int,
    frames_done: Callable[[int], None] = lambda count: None,
    gpus: Sequence[str] = (),
) -> Iterator[Outcome]:
    """The outcome of each input, as they finish.

    A worker that dies costs its input only, which is tried once more, by another one, after all others.

    Args:
        jobs: The inputs.
        settings: The whole tree of settings.
        workers: How many processes.
        frames_done: Called with the number of frames that were finished since the last call.
        gpus: What CUDA calls the GPUs of this machine: workers take them in turn.

    Raises:
        UserError: no worker can load the network.
        KeyboardInterrupt: after the workers have left what they had finished.
    """
    pool = _Pool(settings, gpus=gpus, threads=max(1, _cores() // workers))
    waiting = deque(jobs)
    tries: Counter[Job] = Counter()
    try:
        while waiting or pool.busy:
            pool.grow(min(workers, len(waiting) + pool.busy))
            for worker in pool.idle():
                if waiting:
                    job = waiting.popleft()
                    tries[job] += 1
                    worker.begin(job)
            for message in pool.heard():
                if isinstance(message, int):
                    frames_done(message)
                elif isinstance(message, Outcome):
                    yield message
                elif tries[message.job] < _TRIES:
                    waiting.append(message.job)
                else:
                    yield _given_up(message)
    finally:
        pool.end()


@dataclass(frozen=True)
class _Death:
    """A worker has ended in the middle of an input."""

    job: Job
    why: str


class _Worker:
    """A process and the parent's end of the pipe to it."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other_end, settings), name="posetrack worker")
        with _environment(environment):
            self.process.start()
        other_end.close()
        self.is_ready = False
        self.job: Job | None = None

    def begin(self, job: Job) -> None:
        """Hand over an input."""
        self.job = job
        with suppress(OSError):  # it is gone: `heard` will find out
            self.pipe.send(job)

    def why_ended(self) -> str:
        """What is known of the end of a process."""
        self.process.join(_GOODBYE_SECONDS)
        code = self.process.exitcode
        if code is not None and code < 0:
            hint = "; out of memory?" if code == -9 else ""
            return f"its process was ended by signal {-code}{hint}"
        return f"its process ended with code {code}"


class _Pool:
    """The workers that there are."""

    def __init__(self, settings: Settings, *, gpus: Sequence[str], threads: int) -> None:
        self._settings = settings
        self._gpus = gpus
        self._threads = threads
        self._workers: list[_Worker] = []
        self._started = 0
        self._early_ends = 0

    @property
    def busy(self) -> int:
        """Inputs under way."""
        return sum(worker.job is not None for worker in self._workers)

    def grow(self, count: int) -> None:
        """Start workers until there are `count`."""
        while len(self._workers) < count:
            environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(self._threads))}
            if self._gpus:
                environment["CUDA_VISIBLE_DEVICES"] = self._gpus[self._started % len(self._gpus)]
            self._started += 1
            self._workers.append(_Worker(self._settings, environment))

    def idle(self) -> list[_Worker]:
        """Workers that wait for an input."""
        return [worker for worker in self._workers if worker.is_ready and worker.job is None]

    def heard(self) -> Iterator[int | Outcome | _Death]:
        """Wait for workers to say something: numbers of frames, outcomes; deaths are noticed here."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(by_pipe)):
            worker = by_pipe[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                if death := self._ended(worker):
                    yield death
                continue
            if isinstance(message, UserError):
                raise message
            if isinstance(message, str):
                worker.is_ready = True
                continue
            if isinstance(message, Outcome):
                worker.job = None
            yield message

    def _ended(self, worker: _Worker) -> _Death | None:
        self._workers.remove(worker)
        worker.pipe.close()
        why = worker.why_ended()
        if worker.job is not None:
            return _Death(worker.job, why)
        self._early_ends += 1
        if self._early_ends >= _TRIES:
            raise UserError(f"a worker cannot load the network: {why}; fewer --workers need less memory")
        return None

    def end(self) -> None:
        """Let all workers leave; those in the middle of an input save what they have."""
        for worker in self._workers:
            worker.pipe.close()
        deadline = time.monotonic() + _GOODBYE_SECONDS
        for stop in (lambda process: None, lambda process: process.terminate(), lambda process: process.kill()):
            for worker in self._workers:
                if worker.process.is_alive():
                    stop(worker.process)
                    worker.process.join(max(1.0, deadline - time.monotonic()))
        self._workers.clear()


def _given_up(death: _Death) -> Outcome:
    """The outcome of an input that has cost its last worker."""
    shown, folder = death.job.source.shown, death.job.folder
    last = Sign.read(folder)
    if last and last.state == "failed":  # by a mistake of the program, whose traceback stands there
        return Outcome.failure(death.job, f"{shown}: {last.error}, {_TRIES} times; {folder / 'job.json'} has more")
    with suppress(OSError):
        Sign(input=shown, state="failed", error=death.why).write(folder)
    for attempt in folder.glob(ATTEMPTS):  # without their ends these files cannot be read
        shutil.rmtree(attempt, ignore_errors=True)
    return Outcome.failure(death.job, f"{shown}: {death.why}, {_TRIES} times")


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process finds that is started in the block: libraries read some of them when they are loaded."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# What follows runs in the worker.


def _serve(pipe: Connection, settings: Settings) -> None:
    """Load the network and do inputs until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent tells by closing the pipe
    signal.signal(signal.SIGTERM, _interrupt)
    with suppress(KeyboardInterrupt, EOFError, ConnectionError):
        from posetrack_app.estimator import PoseEstimator
        from posetrack_app.jobs.work import keep_to_share, work

        keep_to_share()
        try:
            estimator = PoseEstimator.from_settings(settings)
        except UserError as error:
            pipe.send(error)
            return
        pipe.send("ready")
        while True:
            job: Job = pipe.recv()
            try:
                outcome = work(job, settings, estimator, opened=lambda info: _telling(pipe, info))
            except Exception:
                raise SystemExit(1) from None  # job.json has the traceback; the next try gets a process without traces
            pipe.send(outcome)


def _telling(pipe: Connection, info: VideoInfo) -> Progress:
    """Tells the parent of frames, and ends when it has nobody to tell."""
    count, next_time = 0, time.monotonic() + _TELL_SECONDS

    def progress() -> None:
        nonlocal count, next_time
        if pipe.poll():  # nothing is sent while an input is under way: the pipe is closed
            raise KeyboardInterrupt
        count += 1
        if (now := time.monotonic()) >= next_time:
            try:
                pipe.send(count)
            except OSError:
                raise KeyboardInterrupt from None
            count, next_time = 0, now + _TELL_SECONDS

    return progress


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
