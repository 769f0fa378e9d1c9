"""Several processes with the network that ships: what they make, and what is left when one of them dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from posetrack_app.config import Settings, override
from posetrack_app.errors import WeightsError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats import parquet
from posetrack_app.jobs.ledger import ATTEMPTS, Job, Outcome, Sign, jobs_of, survey
from posetrack_app.jobs.local import run_in_processes
from posetrack_app.jobs.work import work
from posetrack_app.video import expand_inputs

posix = pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")


def jobs(clips: Path, out: Path, *names: str) -> list[Job]:
    return jobs_of(expand_inputs([str(clips / f"{name}.mp4") for name in names]), out)


def run(
    some: list[Job], settings: Settings, *, workers: int = 2, frames_done: Callable[[int], None] = lambda count: None
) -> dict[str, Outcome]:
    found = list(run_in_processes(some, settings, workers=workers, frames_done=frames_done))
    assert not _workers()
    assert len({outcome.folder for outcome in found}) == len(found)
    return {outcome.folder: outcome for outcome in found}


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def whoever_does(folder: Path) -> int | None:
    """Number of the process that does an input, once frames of it are on their way."""
    signs = [sign for path in folder.glob(ATTEMPTS) if (sign := Sign.read(path)) and sign.now() == "running"]
    return signs[0].process if signs and signs[0].frames else None


def test_several_processes_make_what_one_makes(clips: Path, settings: Settings, tmp_path: Path) -> None:
    settings = override(settings, ["network.short_side=128"])
    names = ("people", "text", "others", "nobody")
    found = run(jobs(clips, tmp_path / "several", *names), settings)
    assert [found[name].state for name in names] == ["done", "failed", "done", "done"]
    assert "text.mp4" in (found["text"].error or "")
    estimator = PoseEstimator.from_settings(settings)
    for job in jobs(clips, tmp_path / "one", "people", "others", "nobody"):
        outcome = work(job, settings, estimator)
        assert outcome.people == found[job.folder.name].people
        tables = [pq.read_table(tmp_path / at / job.folder.name / "poses.parquet") for at in ("one", "several")]
        assert tables[0].equals(tables[1], check_metadata=True)
    assert found["people"].people >= 2


@posix
def test_a_killed_worker_costs_one_try(clips: Path, settings: Settings, tmp_path: Path) -> None:
    killed = []

    def kill(count: int) -> None:
        if not killed and (process := whoever_does(tmp_path / "long")):
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    found = run(jobs(clips, tmp_path, "long", "people", "nobody"), settings, frames_done=kill)
    assert killed
    assert {outcome.state for outcome in found.values()} == {"done"}
    assert found["long"].frames == 400
    assert len(parquet.read_sequence(tmp_path / "long" / "poses.parquet").frames) == 400
    assert not list((tmp_path / "long").glob("*.partial*"))
    assert not list((tmp_path / "long").glob(ATTEMPTS))


@posix
def test_an_input_that_kills_its_workers_fails_alone(clips: Path, settings: Settings, tmp_path: Path) -> None:
    killed: set[int] = set()

    def kill(count: int) -> None:
        process = whoever_does(tmp_path / "long")
        if process and process not in killed:
            os.kill(process, signal.SIGKILL)
            killed.add(process)

    found = run(jobs(clips, tmp_path, "long", "nobody"), settings, workers=1, frames_done=kill)
    assert len(killed) == 2
    assert found["nobody"].state == "done"
    assert found["long"].state == "failed"
    assert "signal 9" in (found["long"].error or "")
    assert {outcome.folder: outcome.state for outcome in survey(tmp_path)} == {"long": "failed", "nobody": "done"}


def test_a_network_that_cannot_be_loaded_is_told_once(clips: Path, settings: Settings, tmp_path: Path) -> None:
    wrong = override(settings, ["network.weights=smal"])
    with pytest.raises(WeightsError, match="small"):
        run(jobs(clips, tmp_path, "people", "nobody"), wrong, workers=1)
    assert not _workers()


@posix
def test_an_interruption_ends_all_and_the_next_command_goes_on(clips: Path, tmp_path: Path) -> None:
    copy = tmp_path / "longer.mp4"
    copy.write_bytes((clips / "long.mp4").read_bytes())
    command = [sys.executable, "-m", "posetrack_app", "run", str(clips / "long.mp4"), str(clips / "nobody.mp4")]
    command += [str(copy), "--out", str(tmp_path / "out"), "--workers", "2", "--no-video", "--short-side", "64"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while not (under_way := whoever_does(tmp_path / "out" / "long")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert under_way
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stderr.count("interrupted: ") == 1
    assert not psutil.wait_procs(children, timeout=10)[1]
    (long,) = [outcome for outcome in survey(tmp_path / "out") if outcome.folder == "long"]
    assert long.state == "interrupted"
    assert parquet.read_sequence(tmp_path / "out" / "long" / "poses.partial.parquet").frames
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {outcome.state for outcome in survey(tmp_path / "out")} == {"done"}
    assert "3 of 3 inputs done" in done.stdout
