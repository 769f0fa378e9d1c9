"""What `run` does with several inputs: those that are open are handed out, and what becomes of them is told."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from posetrack_app.commands.options import estimator_of, frames_bar
from posetrack_app.errors import UserError, some_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from posetrack_app.config import Settings
    from posetrack_app.jobs.ledger import Job, Outcome
    from posetrack_app.pipeline import Progress
    from posetrack_app.video import VideoInfo

__all__ = ["Plan", "frames_on", "print_outcome", "run_many"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done, by whom."""

    known: Sequence[Job]
    """Every input that the command names."""

    chosen: Sequence[Job]
    """Those that are this command's part."""

    out: Path
    """Where their folders are, or will be."""

    workers: int
    """Processes of this machine."""

    cluster: Literal["ray"] | None
    """Who does it instead of this machine."""

    address: str
    """The cluster's."""

    task_cpus: float
    """Cores of the cluster for each input."""

    task_gpus: float
    """Part of a GPU of the cluster for each input."""

    overwrite: bool
    """Do also what is done."""

    merge: bool
    """Write one table of all poses at the end."""

    quiet: bool
    """Tell of errors only."""


def run_many(plan: Plan, settings: Settings) -> int:
    """Do all inputs that are not done, write the summary, and give the exit code."""
    from posetrack_app.jobs.ledger import note_inputs, survey
    from posetrack_app.jobs.merged import write_summary

    note_inputs(plan.out, plan.known)
    todo, failed = _sorted_out(plan, settings)
    before = len(plan.chosen) - len(todo) - len(failed)
    if before and not plan.quiet:
        print(f"{before} of {len(plan.chosen)} inputs are done already")
    for outcome in failed:
        print(f"error: {outcome.error}", file=sys.stderr)
    done = before
    try:
        with closing(_outcomes(todo, plan, settings)) as outcomes:
            for outcome in outcomes:
                if outcome.state == "failed":
                    failed.append(outcome)
                    _print(f"error: {outcome.error}", sys.stderr)
                    continue
                done += 1
                if not plan.quiet:
                    print_outcome(outcome, plan.out / outcome.folder)
    finally:
        standing = survey(plan.out)
        write_summary(plan.out / "summary.csv", standing)
    if plan.merge:
        _merge(plan, settings, [outcome.folder for outcome in standing if outcome.state == "done"])
    if not plan.quiet:
        print(f"{done} of {len(plan.chosen)} inputs done; {plan.out / 'summary.csv'} lists them")
    if failed:
        print(f"failed: {', '.join(outcome.input for outcome in failed)}", file=sys.stderr)
    return max((outcome.exit_code for outcome in failed), default=0)


def _sorted_out(plan: Plan, settings: Settings) -> tuple[list[Job], list[Outcome]]:
    """Inputs that are to be done, and those that cannot be, since other results are in their place."""
    from posetrack_app.jobs.ledger import Outcome, is_open, reopen

    todo, failed = [], []
    for job in plan.chosen:
        try:
            if plan.overwrite:
                reopen(job)
            if plan.overwrite or is_open(job, settings):
                todo.append(job)
        except UserError as error:
            failed.append(Outcome.failure(job, error))
    return todo, failed


def _merge(plan: Plan, settings: Settings, folders: Sequence[str]) -> None:
    """Write one table of these folders, without those whose results are of other settings."""
    from posetrack_app.jobs.ledger import has_settings
    from posetrack_app.jobs.merged import merge_poses

    path = plan.out / "poses.parquet"
    same, others = list[str](), list[str]()
    for folder in folders:
        (same if has_settings(plan.out / folder, settings) else others).append(folder)
    if others:
        how = "is written without" if same else "is not written: there are only"
        print(f"warning: {path} {how} results of other settings: {some_of(others)}", file=sys.stderr)
        if not same:
            return
    rows = merge_poses(plan.out, same)
    if not plan.quiet:
        print(f"{path}: {rows} rows")


def _outcomes(todo: list[Job], plan: Plan, settings: Settings) -> Generator[Outcome]:
    """What becomes of each input, with a progress bar where somebody watches."""
    if not todo:
        return
    if plan.cluster is None and plan.workers == 1:
        yield from _in_turn(todo, settings, quiet=plan.quiet)
        return
    with frames_bar(quiet=plan.quiet) as bar:
        bar.unit = " inputs"
        bar.reset(total=len(todo))
        for outcome in _by_others(todo, plan, settings, frames_done=_rate_on(bar)):
            bar.update()
            yield outcome


def _in_turn(todo: list[Job], settings: Settings, *, quiet: bool) -> Iterator[Outcome]:
    """In this process, one after the other."""
    from posetrack_app.jobs.work import work

    estimator = estimator_of(settings)
    for job in todo:
        with frames_bar(job.source.name, quiet=quiet) as bar:
            outcome = work(job, settings, estimator, opened=frames_on(bar))
        yield outcome


def _by_others(
    todo: list[Job], plan: Plan, settings: Settings, *, frames_done: Callable[[int], None]
) -> Iterator[Outcome]:
    """By other processes, here or elsewhere."""
    if plan.cluster == "ray":
        from posetrack_app.jobs.ray_cluster import Share, run_on_ray

        share = Share(cpus=plan.task_cpus, gpus=plan.task_gpus)
        return run_on_ray(todo, settings, address=plan.address, share=share, warn=lambda text: _print(text, sys.stderr))
    from posetrack_app.jobs.local import run_in_processes

    return run_in_processes(todo, settings, workers=plan.workers, frames_done=frames_done, gpus=_gpus(settings))


def _gpus(settings: Settings) -> list[str]:
    """What CUDA calls the GPUs on which the network will run; none where it runs on a processor."""
    import torch

    from posetrack_app.estimator import resolve_device

    if resolve_device(settings.network.device) != "cuda":
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def frames_on(bar: Any) -> Callable[[VideoInfo], Progress]:
    """Shows the frames of one input on a bar."""

    def opened(info: VideoInfo) -> Progress:
        bar.reset(total=info.frames_expected)
        return lambda: bar.update() and None

    return opened


def _rate_on(bar: Any) -> Callable[[int], None]:
    """Shows the frames of all workers together beside a bar of inputs."""
    frames = 0

    def frames_done(count: int) -> None:
        nonlocal frames
        frames += count
        if not bar.disable:
            bar.set_postfix_str(f"{frames} frames, {frames / max(bar.format_dict['elapsed'], 1e-9):.0f}/s")

    return frames_done


def print_outcome(outcome: Outcome, folder: Path) -> None:
    """Say in a line what came out of an input, and below it what is worth knowing."""
    _print(
        f"{folder}: {outcome.frames} frames, {outcome.people} people, "
        f"{outcome.seconds:.1f} s, {outcome.fps:.1f} frames/s"
    )
    if outcome.doubts:
        view = f"python -m posetrack_app view {shlex.quote(str(folder))}"
        _print(f"  {outcome.doubts} doubts about who is who: {view}")
    for warning in outcome.warnings:
        _print(f"  warning: {warning}")


def _print(text: str, file: Any = None) -> None:
    """A line above a bar, where there is one."""
    from tqdm import tqdm

    tqdm.write(text, file=file or sys.stdout)
    (file or sys.stdout).flush()
