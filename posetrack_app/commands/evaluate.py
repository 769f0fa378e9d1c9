"""Poses against ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from posetrack_app.commands.options import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    MirrorOption,
    PrecisionOption,
    SetOption,
    ShortSideOption,
    WeightsOption,
    estimator_of,
    network_options,
    settings_of,
    write_json,
    write_text,
)
from posetrack_app.errors import UsageError

app = typer.Typer(help="Measure poses against ground truth.", no_args_is_help=True)


@app.command("coco", short_help="AP of the network on photos with COCO keypoints.")
def coco_command(
    gt: Annotated[Path, typer.Option(metavar="FILE", help="Ground truth: COCO keypoints in JSON.")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the photos.")],
    json_file: JsonOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    short_side: ShortSideOption = None,
    mirror: MirrorOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """OKS average precision of the network on photos with COCO keypoints."""
    settings = settings_of(
        config,
        assignments,
        **network_options(weights, device, precision, short_side, mirror),
    )
    from dataclasses import asdict

    from posetrack_app.evaluation.coco import evaluate_coco

    report = evaluate_coco(gt, images, estimator_of(settings))
    print(report.table())
    if json_file is not None:
        write_json(json_file, asdict(report))


@app.command("posetrack", short_help="AP, MOTA and HOTA of tracked poses.")
def posetrack_command(
    gt: Annotated[Path, typer.Option(metavar="DIR", help="Ground truth: a JSON file for each sequence.")],
    pred: Annotated[Path, typer.Option(metavar="DIR", help="Predictions: files of the same names.")],
    protocol: Annotated[
        Literal["poseval", "strict"],
        typer.Option(help="Figures exactly as the reference's, or with its quirks mended."),
    ] = "poseval",
    json_file: JsonOption = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write the figures here, as a table.")
    ] = None,
    check_with: Annotated[
        Literal["poseval"] | None, typer.Option(help="Run the reference too, where installed, and compare.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with tables and charts here, as HTML.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures of the sequences: draws the worst frames in --report.")
    ] = None,
) -> None:
    """PoseTrack's figures of predictions: AP and MOTA of each joint, HOTA, IDF1; in total and by sequence."""
    if images is not None and report is None:
        raise UsageError("--images draws the worst frames into a report; add --report FILE")
    from posetrack_app.evaluation import posetrack, tables

    evaluation = posetrack.evaluate(gt, pred, protocol=protocol, timelines=report is not None)
    print(tables.as_text(evaluation))
    if json_file is not None:
        write_json(json_file, tables.as_json(evaluation))
    if csv_file is not None:
        write_text(csv_file, tables.as_csv(evaluation))
    if report is not None:
        from posetrack_app.evaluation import report as page

        write_text(report, page.report_of(evaluation, gt, pred, images=images))
    if check_with is not None:
        from posetrack_app.evaluation import reference

        figures, said = reference.run_poseval(gt, pred)
        print("\n".join(["", "Compared with poseval:", *reference.compare(evaluation, figures)]))
        if said is not None:
            print(f"poseval stopped early: {said}")
