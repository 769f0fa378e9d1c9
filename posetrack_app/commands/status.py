"""How many inputs are done, failed, under way or waiting."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posetrack_app.commands.options import JsonOption, write_json
from posetrack_app.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posetrack_app.jobs.ledger import Outcome

_NAMES = {"running": "under way"}


def status(
    out: Annotated[
        Path, typer.Argument(metavar="DIR", help="The --out of a run of several inputs.", show_default=False)
    ],
    json_file: JsonOption = None,
) -> int:
    """Say how every input of a run stands: also while it goes on, from any machine that sees the folder."""
    from posetrack_app.jobs.ledger import survey

    if not out.is_dir():
        raise InputError(f"{out} is no folder; give the --out of a run")
    outcomes = survey(out)
    if not outcomes:
        raise InputError(f"{out} holds no run; give the --out of one, not a folder in it")
    width = max(len("input"), *(len(outcome.input) for outcome in outcomes))
    print(f"{'input':<{width}}  {'state':<11}  {'frames':>15}  {'people':>6}  {'frames/s':>8}  note")
    for outcome in outcomes:
        print(_row(outcome, width).rstrip())
    print(_totals(outcomes))
    if json_file is not None:
        content = {"totals": _counts(outcomes), "inputs": [asdict(outcome) for outcome in outcomes]}
        write_json(json_file, content)
    return 0


def _row(outcome: Outcome, width: int) -> str:
    frames = "" if outcome.state == "waiting" else str(outcome.frames)
    if outcome.frames_expected:
        frames += f" of {outcome.frames_expected}"
    done = outcome.state == "done"
    people, rate = (str(outcome.people), f"{outcome.fps:.1f}") if done else ("", "")
    age = f"last sign {_ago(outcome.age_seconds)} ago" if outcome.age_seconds is not None and not done else ""
    state = _NAMES.get(outcome.state, outcome.state)
    return f"{outcome.input:<{width}}  {state:<11}  {frames:>15}  {people:>6}  {rate:>8}  {outcome.error or age}"


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    states = Counter[str](outcome.state for outcome in outcomes)
    frames = sum(outcome.frames for outcome in outcomes if outcome.state == "done")
    return {"inputs": len(outcomes), **states, "frames_done": frames}


def _totals(outcomes: Sequence[Outcome]) -> str:
    counts = _counts(outcomes)
    frames, inputs = counts.pop("frames_done"), counts.pop("inputs")
    states = ", ".join(f"{count} {_NAMES.get(state, state)}" for state, count in sorted(counts.items()))
    return f"{inputs} input{'' if inputs == 1 else 's'}: {states}; {frames} frames done"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
