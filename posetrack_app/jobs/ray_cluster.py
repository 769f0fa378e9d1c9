"""Many inputs on a Ray cluster: a task for each, on whatever node has room; tasks of a lost node go to others."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posetrack_app.config import Settings
from posetrack_app.errors import DeviceError, UsageError
from posetrack_app.jobs.ledger import Job, Outcome

if TYPE_CHECKING:
    from posetrack_app.estimator import PoseEstimator

__all__ = ["Share", "run_on_ray"]

_RETRIES = 3
_CONNECT_SECONDS = 10.0
_GOODBYE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a task asks of its node."""

    cpus: float = 2.0
    """Cores. At 0 Ray starts as many tasks as it likes; too many leave cores idle while the network waits."""

    gpus: float = 0.5
    """Part of a GPU, where the network runs on one: too much leaves it idle, too little asks for more memory."""


def run_on_ray(
    jobs: Sequence[Job],
    settings: Settings,
    *,
    address: str = "auto",
    share: Share | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[Outcome]:
    """The outcome of each input, as they finish.

    Every node must see inputs and results under the same paths, and have this program installed.

    Args:
        jobs: The inputs.
        settings: The whole tree of settings.
        address: Of the cluster, as `ray.init` takes it; `local` makes one of this machine.
        share: What a task asks of its node.
        warn: Called with what a user should know.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
        DeviceError: the network is to run on a GPU, and the cluster has none.
        KeyboardInterrupt: after the tasks have left what they had finished.
    """
    ray = _connected(address)
    try:
        wanted = _resources(ray, settings, share or Share(), warn)
        # What a task returns stands, also a failure; what it raises is the node's fault or the program's.
        task = ray.remote(max_retries=_RETRIES, retry_exceptions=True, scheduling_strategy="SPREAD", **wanted)(_do)
        pending = {task.remote(job, settings, os.getcwd()): job for job in jobs}
        try:
            while pending:
                (ref, *_), _ = ray.wait(list(pending), num_returns=1)
                yield _outcome(ray, ref, pending.pop(ref))
        finally:
            _cancel(ray, list(pending))
    finally:
        ray.shutdown()


def _connected(address: str) -> Any:
    """Ray, connected to a cluster."""
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed; pip install 'posetrack-app[cluster]', or use --workers")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        _check_listening(address)
        with _own_signals():
            ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"no Ray cluster at '{address}' ({str(error).splitlines()[0]}); "
            "start one with `ray start --head`, or give --address local"
        ) from None
    return ray


def _check_listening(address: str) -> None:
    """Raise OSError where nobody answers at `host:port`: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" not in address and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this program's answer to SIGTERM, which Ray replaces by its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _resources(ray: Any, settings: Settings, share: Share, warn: Callable[[str], None]) -> dict[str, float]:
    """What each task asks for."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    on_gpus = settings.network.device in ("auto", "cuda") and any(node.get("GPU", 0) for node in nodes)
    if settings.network.device == "cuda" and not on_gpus:
        raise DeviceError("device 'cuda' needs GPUs, and Ray knows of none in this cluster; use --device cpu or auto")
    wanted = {"num_cpus": share.cpus, **({"num_gpus": share.gpus} if on_gpus else {})}
    if not any(node.get("CPU", 0) >= share.cpus and (not on_gpus or node.get("GPU", 0)) for node in nodes):
        warn(f"no node of the cluster has the {share.cpus:g} cores that a task asks for; waiting until one comes")
    return wanted


def _outcome(ray: Any, ref: Any, job: Job) -> Outcome:
    try:
        outcome: Outcome = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        return Outcome.failure(job, f"{job.source.shown}: {type(error.cause).__name__}: {error.cause}")
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0]
        return Outcome.failure(job, f"{job.source.shown}: {first} ({_RETRIES + 1} times)")
    return outcome


def _cancel(ray: Any, refs: list[Any]) -> None:
    """End tasks that were not waited for; those under way save what they have."""
    for ref in refs:
        with suppress(Exception):
            ray.cancel(ref)
    if refs:
        ray.wait(refs, num_returns=len(refs), timeout=_GOODBYE_SECONDS)


# What follows runs on a node.


def _do(job: Job, settings: Settings, folder: str) -> Outcome:
    """One input, seen from the folder in which the command was given, so that relative paths mean the same."""
    from posetrack_app.jobs.work import keep_to_share, work

    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # by it tasks are cancelled; shells may have switched it off
    keep_to_share()
    if Path(folder).is_dir():
        os.chdir(folder)
    return work(job, settings, _estimator(settings))


@lru_cache(maxsize=1)
def _estimator(settings: Settings) -> PoseEstimator:
    """The network; a process that gets several tasks loads it once."""
    from posetrack_app.estimator import PoseEstimator

    return PoseEstimator.from_settings(settings)
