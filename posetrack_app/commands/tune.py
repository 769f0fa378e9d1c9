"""Settings that give saved poses the best figures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from posetrack_app.commands.options import ConfigOption, SetOption, settings_of, write_text
from posetrack_app.errors import OutputError

if TYPE_CHECKING:
    from posetrack_app.evaluation.tuning import Goal, Judge, Material, Search


def tune(
    gt: Annotated[Path, typer.Option(metavar="DIR", help="Ground truth: a JSON file for each sequence.")],
    poses: Annotated[
        Path, typer.Option(metavar="DIR", help="Saved poses: NAME/poses.parquet or NAME.parquet for each sequence.")
    ],
    goal: Annotated[
        Literal["map", "mota", "hota"] | None,
        typer.Option("--for", help="What is to be large; without, mAP and MOTA, each with settings of its own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Settings, curves and predictions of each goal go here."),
    ] = None,
    budget: Annotated[int, typer.Option(min=1, help="Candidates to judge for each goal.")] = 200,
    config: ConfigOption = None,
    assignments: SetOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Find settings of tracker, refinement and output that give saved poses the best figures, one after the other."""
    settings = settings_of(config, assignments)
    from tqdm import tqdm

    from posetrack_app.evaluation import tuning
    from posetrack_app.evaluation.tuning_report import TITLES, as_text, figures_text

    materials, without = tuning.load(gt, poses)
    count, counted = len(materials), sum(bool(len(frame.people)) for some in materials for frame in some.truth)
    if without:
        print(f"left out, without poses: {', '.join(without)}")
    judge = tuning.Judge(materials)
    rows = {"before": judge(settings)}
    for each in (goal,) if goal else ("map", "mota"):
        started = time.perf_counter()
        shown = sys.stderr.isatty() and not quiet
        with tqdm(desc=TITLES[each], total=budget, disable=not shown, dynamic_ncols=True, leave=False) as bar:
            found = tuning.search(judge, each, settings, budget=budget, progress=bar.update)
        seconds = time.perf_counter() - started
        print(
            f"{TITLES[each]} on {count} sequence{'s' * (count > 1)}, {counted} frames that count: "
            f"{found.tries} candidates in {seconds:.1f} s\n{as_text(found)}\n"
        )
        rows[f"for {TITLES[each]}"] = judge(found.best)
        if out is not None:
            _write(out, each, found, judge, materials)
    print(figures_text(rows))
    few = f"; {count} sequence{'s are' if count > 1 else ' is'} few: settings suit them by chance" * (count < 10)
    print(f"warning: these are figures of the data that was tuned on, report those of other data{few}")
    if out is not None:
        print(out)


def _write(out: Path, goal: Goal, found: Search, judge: Judge, materials: list[Material]) -> None:
    """GOAL.toml for `--config`, GOAL.svg, and the predictions in a folder GOAL."""
    from posetrack_app.evaluation.tuning_report import as_toml, draw
    from posetrack_app.submission import predict, write_predictions

    folder = out / goal
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    write_text(out / f"{goal}.toml", as_toml(found))
    draw(out / f"{goal}.svg", found)
    for material, sequence in zip(materials, judge.tracked(found.best), strict=True):
        write_predictions(folder, material.target, predict(sequence, material.target, found.best.output))
