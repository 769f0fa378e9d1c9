"""The command line: parses, calls, prints. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posetrack_app.errors import OutputError, UsageError, UserError

if TYPE_CHECKING:
    from posetrack_app.config import Settings
    from posetrack_app.estimator import PoseEstimator
    from posetrack_app.pipeline import RunReport
    from posetrack_app.video import Source

app = typer.Typer(
    name="posetrack-app",
    help="Every person's pose in every frame of a video, with an identity that stays.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
evaluate = typer.Typer(help="Measure poses against ground truth.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in TOML; configs/run.toml shows all of them."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in tracker.birth_frames=5."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Weights that ship with the project, or a file. [small]"),
]
DeviceOption = Annotated[Device | None, typer.Option(help="Where the network runs. [auto]")]
PrecisionOption = Annotated[Precision | None, typer.Option(help="Arithmetic of the network. [auto]")]
ShortSideOption = Annotated[
    int | None,
    typer.Option(min=32, metavar="PIXELS", help="Short side of what the network sees: more finds smaller people."),
]
MirrorOption = Annotated[
    bool | None,
    typer.Option("--mirror/--no-mirror", help="Average with the mirrored picture: better, slower."),
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures here.")]


def _settings(config: Path | None, assignments: list[str] | None, **overrides: object) -> Settings:
    """Defaults, then the file, then --set, then the options of their own."""
    from posetrack_app import config as configuration

    settings = configuration.Settings()
    try:
        if config is not None:
            settings = configuration.load(config)
        settings = configuration.override(settings, assignments or [])
        given = {key: value for key, value in overrides.items() if value is not None}
        return configuration.override(settings, [f"{key}={json.dumps(value)}" for key, value in given.items()])
    except ValueError as error:
        raise UsageError(str(error)) from None


def _estimator(settings: Settings) -> PoseEstimator:
    from posetrack_app.estimator import PoseEstimator

    return PoseEstimator.from_settings(settings)


@app.command(short_help="Find and follow every person in videos.")
def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Videos, folders of pictures, globs, camera:0, or the address of a stream.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Results go to DIR/<input name>/.")] = Path(
        "out"
    ),
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    short_side: ShortSideOption = None,
    mirror: MirrorOption = None,
    render: Annotated[
        Literal["skeleton", "boxes", "blur-faces", "black"] | None,
        typer.Option(help="How people are drawn. [skeleton]"),
    ] = None,
    color_by: Annotated[Literal["identity", "side"] | None, typer.Option(help="What colours tell. [identity]")] = None,
    trails: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Draw where people came from. [0]")
    ] = None,
    video: Annotated[bool | None, typer.Option("--video/--no-video", help="Write tracked.mp4. [video]")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> int:
    """Find and follow every person: tracked.mp4, poses.json, poses.parquet and run.json for each input."""
    settings = _settings(
        config,
        assignments,
        **{
            "network.weights": weights,
            "network.device": device,
            "network.precision": precision,
            "network.short_side": short_side,
            "network.mirror": mirror,
            "render.style": render,
            "render.color_by": color_by,
            "render.trails_seconds": trails,
            "video.enabled": video,
        },
    )
    from posetrack_app.video import expand_inputs

    jobs = _with_folders(expand_inputs(inputs), out)
    if dry_run:
        return _dry_run(jobs, settings, overwrite=overwrite)
    estimator = _estimator(settings)
    failed: dict[str, UserError] = {}
    for source, folder in jobs:
        try:
            _refuse_existing(folder, overwrite=overwrite)
            report = _run_one(source, folder, settings, estimator, quiet=quiet)
        except UserError as error:
            failed[source.shown] = error
            print(f"error: {error}", file=sys.stderr)
            continue
        if not quiet:
            _print_report(report, folder)
    if len(jobs) > 1 and not quiet:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} inputs done")
    if len(jobs) > 1 and failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return max((error.exit_code for error in failed.values()), default=0)


def _with_folders(sources: list[Source], out: Path) -> list[tuple[Source, Path]]:
    """A folder of its own for each input; inputs of the same name are told apart by a number."""
    taken: set[str] = set()
    jobs = []
    for source in sources:
        name, count = source.name, 1
        while name.casefold() in taken:
            count += 1
            name = f"{source.name}-{count}"
        taken.add(name.casefold())
        jobs.append((source, out / name))
    return jobs


_FINAL_NAMES = ("tracked.mp4", "poses.json", "poses.parquet", "run.json")


def _refuse_existing(folder: Path, *, overwrite: bool) -> None:
    existing = [name for name in _FINAL_NAMES if (folder / name).exists()]
    if existing and not overwrite:
        raise OutputError(f"{folder / existing[0]} is there already; --overwrite replaces it, --out writes elsewhere")


def _run_one(source: Source, folder: Path, settings: Settings, estimator: PoseEstimator, *, quiet: bool) -> RunReport:
    """One input, with a progress bar where somebody watches."""
    from tqdm import tqdm

    from posetrack_app import pipeline
    from posetrack_app.video import VideoInfo

    with tqdm(
        desc=source.name,
        unit=" frames",
        disable=quiet or not sys.stderr.isatty(),
        dynamic_ncols=True,
        leave=False,
    ) as bar:

        def opened(info: VideoInfo) -> pipeline.Progress:
            bar.reset(total=info.frames_expected)
            return lambda: bar.update() and None

        return pipeline.run(source, folder, settings=settings, estimator=estimator, opened=opened)


def _print_report(report: RunReport, folder: Path) -> None:
    seconds = report.seconds
    print(
        f"{folder}: {report.frames_written} frames, {report.people} people, "
        f"{seconds['total']:.1f} s, {report.fps:.1f} frames/s"
    )
    for warning in report.warnings:
        print(f"  warning: {warning}")


def _dry_run(jobs: list[tuple[Source, Path]], settings: Settings, *, overwrite: bool) -> int:
    """Open each input and say what would become of it."""
    from posetrack_app.estimator import resolve_device, resolve_precision
    from posetrack_app.video import VideoReader

    device = resolve_device(settings.network.device)
    precision = resolve_precision(settings.network.precision, device)
    print(
        f"network '{settings.network.weights}' on {device} in {precision}, "
        f"short side {settings.network.short_side} pixels"
    )
    code = 0
    for source, folder in jobs:
        try:
            _refuse_existing(folder, overwrite=overwrite)
            with VideoReader(source) as reader:
                info = reader.info
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            code = max(code, error.exit_code)
            continue
        length = f"about {info.frames_expected} frames" if info.frames_expected else "unknown length"
        rate = f", {float(info.average_rate):.2f} frames/s" if info.average_rate else ""
        print(f"{source.shown}: {info.width}x{info.height}, {length}{rate} -> {folder}/")
    return code


@app.command(short_help="Draw a clip of walking people, with exact truth.")
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the clip and its ground truth.")],
    seed: Annotated[int, typer.Option(help="Another seed draws other people.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0.04, help="Length of the clip.")] = None,
) -> None:
    """Draw a clip of walking people, with exact ground truth in PoseTrack's form."""
    from dataclasses import replace

    from posetrack_app.sample import SampleConfig, write_sample

    config = SampleConfig(seed=seed)
    if seconds is not None:
        config = replace(config, seconds=seconds)
    for path in write_sample(out, config):
        print(path)


@app.command(short_help="Say what is installed, and try one frame.")
def doctor(weights: WeightsOption = None, device: DeviceOption = None, precision: PrecisionOption = None) -> int:
    """Print what is installed and what a run would use, and try one frame."""
    from posetrack_app.doctor import examine

    return examine(weights=weights or "small", device=device or "auto", precision=precision or "auto")


@evaluate.command("coco", short_help="AP of the network on photos with COCO keypoints.")
def evaluate_coco_command(
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
    settings = _settings(
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

    report = evaluate_coco(gt, images, _estimator(settings))
    print(report.table())
    if json_file is not None:
        _write_json(json_file, asdict(report))


@evaluate.command("posetrack", short_help="AP, MOTA and HOTA of tracked poses.")
def evaluate_posetrack_command(
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
        _write_json(json_file, tables.as_json(evaluation))
    if csv_file is not None:
        _write_text(csv_file, tables.as_csv(evaluation))
    if check_with is not None:
        from posetrack_app.evaluation import reference

        figures, said = reference.run_poseval(gt, pred)
        print("\n".join(["", "Compared with poseval:", *reference.compare(evaluation, figures)]))
        if said is not None:
            print(f"poseval stopped early: {said}")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
