"""Training a network."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posetrack_app.commands.options import DeviceOption, QuietOption
from posetrack_app.commands.stopping import stopping
from posetrack_app.errors import OutputError, UsageError

if TYPE_CHECKING:
    from posetrack_app.training.config import TrainingSettings
    from posetrack_app.training.keeping import Row
    from posetrack_app.training.session import Session


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="Settings; configs/training has some to begin with.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Log, checkpoints and weights go here.")],
    init: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Weights to begin with, in place of network.init.")
    ] = None,
    device: DeviceOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in optimizer.rate=1e-4."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Length of the whole training, in place of run.epochs and run.steps.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long; the same command goes on from there.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Run one batch through, draw it to DIR/check.png, and stop.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew where a training is there already.")
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Train a network; where DIR holds a training of the same settings, it goes on."""
    settings = _settings_of(config, assignments, init=init, steps=steps)
    from posetrack_app.engines import resolve_device
    from posetrack_app.training.session import open_session
    from posetrack_app.training.team import join_team

    with join_team(resolve_device(device or "auto")) as team:
        silent = quiet or not team.leads
        say = _hush if silent else _say
        with open_session(settings, team, say=say, progress=_reading(quiet=silent)) as session:
            if check:
                return _check(session, out)
            return _train(session, out, minutes=minutes, overwrite=overwrite, quiet=silent)


def _settings_of(
    config: Path, assignments: list[str] | None, *, init: str | None, steps: int | None
) -> TrainingSettings:
    from posetrack_app.training import config as configuration

    given = list(assignments or [])
    given += [f"network.init={init}"] if init is not None else []
    given += [f"run.steps={steps}", "run.epochs=0"] if steps is not None else []
    try:
        return configuration.override(configuration.load(config), given)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _check(session: Session, out: Path) -> int:
    """One batch, looked at."""
    if session.team.world > 1:
        raise UsageError("--check looks at one batch in one process: start it without torchrun")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror or error}") from None
    for line in session.check(out / "check.png"):
        print(line)
    return 0


def _train(session: Session, out: Path, *, minutes: float | None, overwrite: bool, quiet: bool) -> int:
    from tqdm import tqdm

    trainer = session.trainer
    resumed = session.begin(out, overwrite=overwrite)
    if not quiet and resumed:
        print(f"{out}: goes on from step {trainer.step} of {trainer.total}")
    shown = sys.stderr.isatty() and not quiet
    with (
        tqdm(total=trainer.total, initial=trainer.step, unit=" steps", disable=not shown, dynamic_ncols=True) as bar,
        stopping(minutes) as stop,
    ):

        def progress(row: Row) -> None:
            bar.update(trainer.step - bar.n)
            bar.set_postfix_str(_short(row))
            if not quiet and row["dev_ap"] is not None:
                bar.write(_line(row, trainer.total), file=sys.stdout)

        done = session.train(stop=stop, progress=progress)
    if trainer.team.leads:
        best = "" if session.keeper.best is None else f", best AP {session.keeper.best:.2f}"
        print(f"{out}: {'done' if done else 'stopped'} at step {trainer.step} of {trainer.total}{best}")
        if not done:
            print(f"  the same command goes on: python -m posetrack_app {shlex.join(sys.argv[1:])}")
    return 0 if done or not stop.asked else 130


def _short(row: Row) -> str:
    return f"loss {row['loss']:.3g}"


def _line(row: Row, total: int) -> str:
    minutes = (row["seconds"] or 0) / 60
    speed = (row["samples"] or 0) / max(row["seconds"] or 0, 1e-9)
    return (
        f"step {row['step']:.0f} of {total}, epoch {row['epoch']:.2f}, {minutes:.1f} min, {speed:.1f} samples/s: "
        f"loss {row['loss']:.4g}, AP {row['dev_ap']:.2f}"
    )


def _reading(*, quiet: bool) -> Callable[[int, int], None]:
    """A bar of photos that are read, where somebody watches."""
    from tqdm import tqdm

    shown = sys.stderr.isatty() and not quiet
    bar: tqdm[None] = tqdm(unit=" photos", disable=not shown, dynamic_ncols=True, leave=False, delay=1)

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return progress


def _say(text: str) -> None:
    print(text, flush=True)


def _hush(text: str) -> None:
    pass
