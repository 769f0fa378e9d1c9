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
    settings_of,
    write_json,
    write_text,
)

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
        **{
            "network.weights": weights,
            "network.device": device,
            "network.precision": precision,
            "network.short_side": short_side,
            "network.mirror": mirror,
        },
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
) -> None:
    """PoseTrack's figures of predictions: AP and MOTA of each joint, HOTA, IDF1; in total and by sequence."""
    from posetrack_app.evaluation import posetrack, tables

    evaluation = posetrack.evaluate(gt, pred, protocol=protocol)
    print(tables.as_text(evaluation))
    if json_file is not None:
        write_json(json_file, tables.as_json(evaluation))
    if csv_file is not None:
        write_text(csv_file, tables.as_csv(evaluation))
    if check_with is not None:
        from posetrack_app.evaluation import reference

        figures, said = reference.run_poseval(gt, pred)
        print("\n".join(["", "Compared with poseval:", *reference.compare(evaluation, figures)]))
        if said is not None:
            print(f"poseval stopped early: {said}")
