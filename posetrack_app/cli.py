"""The command line: what commands there are."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from posetrack_app.commands import (
    bench,
    doctor,
    evaluate,
    export,
    export_model,
    label,
    retrack,
    run,
    sample,
    status,
    submit,
    train,
    tune,
    view,
)
from posetrack_app.commands.grouped import Grouped


class _Commands(TyperGroup):
    """Makes an interrupt a `typer.Abort`: newer versions of Typer make a mere exit code of it."""

    def invoke(self, ctx: Any) -> Any:
        """As of a group."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    cls=_Commands,
    name="posetrack-app",
    help="Every person's pose in every frame of a video, with an identity that stays.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command(cls=Grouped, short_help="Find and follow every person in videos.")(run.run)
app.command(short_help="Say how the inputs of a run stand.")(status.status)
app.command(short_help="Give saved poses their identities again, corrected and refined.")(retrack.retrack)
app.command(short_help="Draw saved poses onto their video.")(retrack.render)
app.command(short_help="Write saved poses in the form of another program.")(export.export)
app.command(short_help="Make a page to look at a run and correct it.")(view.view)
app.command(short_help="Draw a clip of walking people, with exact truth.")(sample.sample)
app.command(short_help="Say what is installed, and try one frame.")(doctor.doctor)
app.command(short_help="Compare what can run the network here: speed and drift.")(bench.bench)
app.command("export-model", short_help="Write the network as ONNX, for TensorRT and others.")(export_model.export_model)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(submit.app, name="submit", short_help="Make or check a submission to PoseTrack's server.")
app.command(short_help="Find the settings that give saved poses the best figures.")(tune.tune)
app.command(short_help="Train a network on labelled photos.")(train.train)
app.command(short_help="Label pictures with the network itself, to train on them.")(label.label)
