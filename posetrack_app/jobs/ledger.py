"""Which of many inputs are done, failed, under way or waiting.

Files in the folders of results tell it, so that every command on every machine that sees them knows:

    OUT/inputs.json             every input that was asked for, and the name of its folder
    OUT/NAME/run.json           the input is done; written last
    OUT/NAME/attempt-*/         the input is under way; job.json in it is renewed every other second
    OUT/NAME/job.json           how the last attempt ended, where it did not end well

A run of one input alone gives no such signs: what it keeps to go on from (seen.partial, run.partial.json) tells of it.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from posetrack_app.errors import OutputError, UsageError
from posetrack_app.formats.saving import partial_of

if TYPE_CHECKING:
    from posetrack_app.config import Settings
    from posetrack_app.video import Source

__all__ = [
    "ATTEMPTS",
    "RESULTS",
    "Job",
    "Outcome",
    "Sign",
    "State",
    "check_apart",
    "finished",
    "has_settings",
    "is_open",
    "jobs_of",
    "note_inputs",
    "reopen",
    "survey",
    "write_atomically",
]

State = Literal["done", "failed", "running", "stopped", "interrupted", "waiting"]
"""`stopped`: it was under way, and whoever did it is gone without a word."""

RESULTS = ("tracked.mp4", "poses.json", "poses.parquet", "doubts.json", "run.json")
"""Files of a complete run."""

ATTEMPTS = "attempt-*"
"""Folders, inside that of an input, that are being written."""

SILENT_SECONDS = 120.0
"""Who has given no sign for so long is taken to be gone."""


@dataclass(frozen=True)
class Job:
    """One input and where its results go."""

    source: Source
    """What to read."""

    folder: Path
    """Its results; no other input has the same."""


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What is written of an input that is not done; the content of job.json."""

    input: str
    """The input, as it may be told to others."""

    state: State = "running"
    """How it stands."""

    frames: int = 0
    """Frames that are on their way to the files."""

    frames_expected: int | None = None
    """Frames that the input promises; None where nothing is known."""

    error: str | None = None
    """Why it failed, in one line."""

    details: str | None = None
    """A traceback, where the failure is a mistake of the program."""

    host: str = field(default_factory=socket.gethostname)
    """Machine that does it."""

    process: int = field(default_factory=os.getpid)
    """Number of the process there."""

    started: float = field(default_factory=time.time)
    """When it began, in seconds since 1970."""

    updated: float = field(default_factory=time.time)
    """When this was written, in seconds since 1970."""

    def write(self, folder: Path) -> None:
        """Write job.json into a folder.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(asdict(replace(self, updated=time.time())), indent=2, ensure_ascii=False)
        write_atomically(folder / "job.json", content + "\n")

    @classmethod
    def read(cls, folder: Path) -> Sign | None:
        """What job.json of a folder says; None where there is none that can be read."""
        told = _json(folder / "job.json")
        try:
            return cls(**told) if told else None
        except TypeError:  # of another version
            return None

    @property
    def age_seconds(self) -> float:
        """How long ago it was written."""
        return max(0.0, time.time() - self.updated)

    def now(self) -> State:
        """The state as far as it can be seen from here: somebody who is gone does not run."""
        if self.state != "running":
            return self.state
        gone = self.host == socket.gethostname() and not _is_alive(self.process)
        return "stopped" if gone or self.age_seconds > SILENT_SECONDS else "running"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an input stands: a row of the summary."""

    input: str
    """The input, as it may be told to others."""

    folder: str
    """Name of the folder of its results."""

    state: State
    """How it stands."""

    frames: int = 0
    """Frames that were written; of an input under way, those so far."""

    frames_expected: int | None = None
    """Frames that an input under way promises; None where nothing is known."""

    people: int = 0
    """Identities that were given."""

    seconds: float = 0.0
    """Wall time of the run."""

    fps: float = 0.0
    """Frames written a second of wall time."""

    doubts: int = 0
    """Places where identities may be wrong."""

    warnings: tuple[str, ...] = ()
    """What a user should know."""

    error: str | None = None
    """Why it failed, in one line."""

    exit_code: int = 0
    """What a command that ends with this failure ends with."""

    age_seconds: float | None = None
    """Of an input under way or given up: seconds since its last sign."""

    @classmethod
    def of_run(cls, folder: Path, told: Mapping[str, Any]) -> Outcome:
        """A finished input, from the content of its run.json."""
        return cls(
            input=str(told["input"]["location"]),
            folder=folder.name,
            state="done",
            frames=told["frames_written"],
            people=told["people"],
            seconds=told["seconds"]["total"],
            fps=told["fps"],
            doubts=told["doubts"],
            warnings=tuple(told["warnings"]),
        )

    @classmethod
    def failure(cls, job: Job, error: BaseException | str) -> Outcome:
        """An input that could not be done."""
        code = getattr(error, "exit_code", 1)
        return cls(input=job.source.shown, folder=job.folder.name, state="failed", error=str(error), exit_code=code)


def jobs_of(sources: Iterable[Source], out: Path) -> list[Job]:
    """A folder of its own for each input; inputs of the same name are told apart by a number."""
    taken: set[str] = set()
    jobs = []
    for source in sources:
        name, count = source.name, 1
        while name.casefold() in taken:
            count += 1
            name = f"{source.name}-{count}"
        taken.add(name.casefold())
        jobs.append(Job(source, out / name))
    return jobs


def check_apart(jobs: Sequence[Job]) -> None:
    """Refuse results in the place of what is read: they would replace it, or be read the next time.

    Raises:
        UsageError: a result would be a video that is read, or lie among pictures that are.
    """
    sources = [job.source for job in jobs]
    videos = {_file_of(source.location) for source in sources if source.kind == "video"} - {None}
    pictures = {_file_of(folder) for source in sources for folder in {path.parent for path in source.files}} - {None}
    for job in jobs:
        if _file_of(job.folder) in pictures:
            raise UsageError(f"{job.folder} is the folder of the pictures themselves; --out writes elsewhere")
        for result in (job.folder / name for name in RESULTS):
            for path in (result, partial_of(result)):
                if _file_of(path) in videos:
                    raise UsageError(f"{path} is the video itself; --out writes elsewhere")


def finished(folder: Path) -> dict[str, Any] | None:
    """What run.json of a complete run says; None where there is none."""
    told = _json(folder / "run.json")
    return told if told and told.get("complete") else None


def is_open(job: Job, settings: Settings) -> bool:
    """Whether an input is still to be done; False where it is done, with these settings.

    Raises:
        OutputError: results of another input, of other settings or of unknown origin are in the way.
    """
    from posetrack_app.journal import unfinished  # loads NumPy and FFmpeg, which `status` does without

    told = finished(job.folder)
    if told is None:
        ours = (job.folder / "job.json").exists() or any(job.folder.glob(ATTEMPTS)) or unfinished(job.folder)
        there = next((job.folder / name for name in RESULTS if (job.folder / name).exists()), None)
        if there is not None and not ours:
            raise OutputError(f"{there} is there already; --overwrite replaces it, --out writes elsewhere")
        return True
    location = str(told["input"]["location"])
    if _absolute(location) != _absolute(job.source.shown):
        other = f"is of another input, {location}"
    elif key := _other_setting(told, settings):
        other = f"was made with another {key}"
    else:
        return False
    raise OutputError(f"{job.folder} {other}; --overwrite replaces it, --out writes elsewhere")


def has_settings(folder: Path, settings: Settings) -> bool:
    """Whether the complete run in a folder was made with these settings."""
    told = finished(folder)
    return told is not None and _other_setting(told, settings) is None


def reopen(job: Job) -> None:
    """Let an input that may be done count as not done; the files of its results stay until there are others.

    Raises:
        OutputError: the folder cannot be written.
    """
    if any((job.folder / name).exists() for name in RESULTS):
        try:
            Sign(input=job.source.shown, state="waiting").write(job.folder)
            (job.folder / "run.json").unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {job.folder}: {error.strerror or error}") from None


def note_inputs(out: Path, jobs: Iterable[Job]) -> None:
    """Write which inputs were asked for; those of earlier commands stay in the list.

    Raises:
        OutputError: it cannot be written.
    """
    before = _noted(out)
    after = before | {job.folder.name: job.source.shown for job in jobs}
    if after == before:
        return
    content = {"inputs": [{"folder": folder, "input": shown} for folder, shown in after.items()]}
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / "inputs.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from None


def survey(out: Path) -> list[Outcome]:
    """How every input stands whose results are, or are to be, in folders of `out`: in the order of the list."""
    inputs = _noted(out)
    try:
        folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    except OSError:
        folders = []
    found = (_look(out / name, inputs.get(name)) for name in dict.fromkeys([*inputs, *folders]))
    return [outcome for outcome in found if outcome is not None]


def _look(folder: Path, shown: str | None) -> Outcome | None:
    """How one input stands; None of a folder that is none of ours."""
    if told := finished(folder):
        return Outcome.of_run(folder, told)
    signs = [sign for path in [folder, *folder.glob(ATTEMPTS)] if (sign := Sign.read(path))]
    sign = max(signs, key=lambda sign: (sign.now() == "running", sign.updated), default=None)
    sign = sign or _sign_of_one(folder)
    if sign is None:
        return Outcome(input=shown, folder=folder.name, state="waiting") if shown else None
    return Outcome(
        input=shown or sign.input,
        folder=folder.name,
        state=sign.now(),
        frames=sign.frames,
        frames_expected=sign.frames_expected,
        error=sign.error,
        exit_code=1 if sign.state == "failed" else 0,
        age_seconds=round(sign.age_seconds, 1),
    )


def _sign_of_one(folder: Path) -> Sign | None:
    """How a run of this input alone stands that is not complete; None where there is none."""
    from posetrack_app.journal import NAME, WRITER

    report = partial_of(folder / "run.json")
    told, ended = _json(report) or {}, _written(report)
    read = told["input"] if isinstance(told.get("input"), dict) else {}
    sign = Sign(
        input=read.get("location", folder.name),
        state="interrupted",
        frames=told.get("frames_written", 0),
        frames_expected=read.get("frames_expected"),
        updated=ended,
    )
    kept = sorted((folder / NAME).glob("*"))
    if kept and (seen := max(map(_written, kept))) > ended:  # it was killed, or goes on
        writer = _json(folder / NAME / WRITER) or {}
        by = {"host": writer.get("host", ""), "process": writer.get("process", 0)}  # not told: the age alone decides
        return replace(sign, state="running", frames=_frames_seen(kept), updated=seen, **by)
    return sign if ended else None


def _frames_seen(kept: Sequence[Path]) -> int:
    """How many frames a run had come to whose journal has these files; 0 where that cannot be read."""
    import numpy as np

    segments = [path for path in kept if path.suffix == ".npz"]
    try:
        with np.load(segments[-1]) as segment:
            return int(segment["index"][-1]) + 1 - int(segments[0].stem)  # a stretch does not begin at frame 0
    except Exception:  # a damaged file fails in many ways
        return 0


def _written(path: Path) -> float:
    """When a file was written, in seconds since 1970; 0 where it is missing."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def write_atomically(path: Path, text: str) -> None:
    """Write a file that others may write and read at the same time: they see the whole of the one or the other.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _noted(out: Path) -> dict[str, str]:
    """Folder and input, in the order of the list."""
    told = _json(out / "inputs.json") or {}
    return {item["folder"]: item["input"] for item in told.get("inputs", [])}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _file_of(path: str | Path) -> tuple[int, int] | None:
    """What tells a file or folder from all others of this machine, whatever its path; None where there is none."""
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino


def _absolute(location: str) -> str:
    return location if "://" in location else os.path.abspath(location)


def _other_setting(told: Mapping[str, Any], settings: Settings) -> str | None:
    """The first setting in which a run differs from these, with its two values."""
    return _difference(told["settings"], json.loads(json.dumps(asdict(settings))))


def _difference(one: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> str | None:
    """The first setting in which two trees differ, with its two values."""
    for key in {**one, **other}:
        a, b = one.get(key), other.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if found := _difference(a, b, f"{above}{key}."):
                return found
        elif a != b:
            return f"{above}{key} ({a}, now {b})"
    return None


def _is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    if os.name != "posix":
        return True  # os.kill would end it; the age of the sign decides
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
