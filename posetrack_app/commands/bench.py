"""What runs the network best here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from posetrack_app.commands.options import DeviceOption, JsonOption, WeightsOption, short_sides_of, write_json
from posetrack_app.errors import UsageError, nearest

if TYPE_CHECKING:
    from posetrack_app.benchmark import EngineChoice, Row


def bench(
    clip: Annotated[
        str | None, typer.Argument(metavar="[CLIP]", help="A video of yours; without, the drawn clip.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, metavar="N", help="Frames to take from its beginning.")] = 60,
    engines: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Engines to try, as in pytorch,openvino. [all]")
    ] = None,
    short_sides: Annotated[
        str, typer.Option(metavar="PIXELS,...", help="Short sides of what the network sees, as in 256,384.")
    ] = "256",
    coco: Annotated[
        Path | None, typer.Option(metavar="FILE", help="COCO keypoints in JSON: also measure AP on them.")
    ] = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the photos of --coco.")] = None,
    json_file: JsonOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
) -> None:
    """Compare engines, precisions and sizes on the same frames: speed, and how far the poses are from float32."""
    sides = short_sides_of(short_sides)
    if (coco is None) != (images is None):
        raise UsageError("--coco and --images belong together: labels, and the folder of their photos")
    from dataclasses import asdict

    from posetrack_app import benchmark

    chosen = _engines(engines)
    several = benchmark.variants(engines=chosen, short_sides=sides, device=device or "auto")
    seen = benchmark.drawn_frames(frames) if clip is None else benchmark.read_frames(clip, frames)
    rows = benchmark.bench(
        seen,
        several,
        weights=weights or "small",
        labelled=(coco, images) if coco is not None and images is not None else None,
        progress=_say if sys.stderr.isatty() else lambda what: None,
    )
    height, width = seen[0].image.shape[:2]
    best = benchmark.best(rows, frame_side=min(width, height))
    print(f"{clip or 'drawn clip'}: {len(seen)} frames, {width}x{height}")
    print(_table(rows))
    for row in best:
        settings = " ".join(f"--set {assignment}" for assignment in row.variant.assignments())
        print(f"best here: {settings}")
    if json_file is not None:
        content = {
            "clip": clip,
            "frames": len(seen),
            "width": width,
            "height": height,
            "weights": weights or "small",
            "rows": [asdict(row) for row in rows],
            "best": [row.variant.assignments() for row in best],
        }
        write_json(json_file, content)


def _table(rows: list[Row]) -> str:
    """The rows for the terminal."""
    with_ap = any(row.ap is not None for row in rows)
    head = ["side", "batch", "network ms", "of peak", "frame ms", "people", "shared", "drift px", "95 % px"]
    head += ["AP"] * with_ap
    lines = [f"{'':<26}" + "".join(f"{name:>11}" for name in head)]
    for row in rows:
        variant = row.variant
        name = f"{variant.engine} {variant.device} {variant.precision}"
        cells = [
            str(variant.short_side),
            str(variant.batch or "-"),
            f"{row.network_ms:.1f}",
            f"{row.peak_share:.0%}",
            f"{row.frame_ms:.1f}",
            str(row.people),
            f"{row.shared:.1%}",
            *("-" if drift is None else f"{drift:.2f}" for drift in (row.drift_median, row.drift_95)),
        ]
        if with_ap:
            cells.append("-" if row.ap is None else f"{row.ap:.1f}")
        lines.append(f"{name:<26}" + "".join(f"{cell:>11}" for cell in cells))
    return "\n".join(lines)


def _engines(names: str | None) -> list[EngineChoice] | None:
    """Engines by their names."""
    from posetrack_app.benchmark import EngineChoice

    known: dict[str, EngineChoice] = {name: name for name in get_args(EngineChoice)}
    chosen = [name.strip() for name in names.split(",")] if names else []
    for name in chosen:
        if name not in known:
            raise UsageError(f"--engines names '{name}', which is none: {nearest(name, known)}")
    return [known[name] for name in chosen] or None


def _say(what: str) -> None:
    print(f"\r\x1b[K{what}", end="\r", file=sys.stderr, flush=True)
