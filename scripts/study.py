"""The paper's six networks, small and alike: `python scripts/study.py PHOTOS.json IMAGES --dev DEV.json [--steps N]`.

Trains PoseAE, Cluster1, Cluster2, In-branch, Cross-branch and In-Cross-branch for the same batches, or with --minutes
for the same time, and prints a table of what they make of the dev photos; --json keeps the figures of each run. With
--seeds 0 1 2 each is trained three times from other random weights. `OMP_NUM_THREADS` bounds the cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import torch

from models import weights
from models.cluster_net import ClusterNet
from models.count import count_parameters
from models.losses import LossConfig
from models.skeleton import COCO17
from posetrack_app.engines import resolve_device
from posetrack_app.errors import UserError
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.augmentation import AugmentationConfig
from posetrack_app.training.config import (
    DevSettings,
    OptimizerSettings,
    RunSettings,
    TrainingSettings,
    override,
)
from posetrack_app.training.dev import DevSet
from posetrack_app.training.loop import Trainer
from posetrack_app.training.sampling import Batch, Sampler
from posetrack_app.training.setup import make_network, resolve_training_precision
from posetrack_app.training.storage import open_sampler
from posetrack_app.training.study import (
    NAMES,
    Measured,
    empty_error,
    found_share,
    held_out_error,
    scaled_down,
    table,
    train_for,
)
from posetrack_app.training.team import Team

PLAIN = AugmentationConfig(
    rotation_degrees=0, min_zoom=1, max_zoom=1, person_centred=1, shift=0, mirror=0,
    brightness=0, contrast=0, saturation=0, grey=0, mosaic=0,
)  # fmt: skip
"""Photos as they are, for measuring."""


def settings_of(arguments: argparse.Namespace, seed: int) -> TrainingSettings:
    """How each network is trained."""
    settings = TrainingSettings(
        loss=LossConfig(push="laplace", peak_weight=10, tag_weight=0.01),
        optimizer=OptimizerSettings(name="adamw", rate=2e-3, schedule="cosine", warmup_steps=20),
        run=RunSettings(steps=arguments.steps, batch=arguments.batch, average=0.99, seed=seed),
    )
    return override(settings, arguments.set or [])


def measure(
    name: str, seed: int, arguments: argparse.Namespace, sampler: Sampler, held_out: list[Batch], dev: DevSet | None
) -> Measured:
    """Train a network and look at what became of it."""
    settings = settings_of(arguments, seed)
    config = scaled_down(name, stacks=arguments.stacks, channels=arguments.channels)
    device = held_out[0].images.device
    trainer = Trainer(
        make_network(settings, config),
        sampler,
        settings,
        total=arguments.steps,
        photos=1,
        team=Team(device),
        precision=resolve_training_precision(settings.run.precision, device.type),
    )
    seconds = train_for(trainer, minutes=arguments.minutes)
    network = ClusterNet(config)
    trainer.average.copy_to(network)
    ap = None
    if dev is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.safetensors"
            weights.save(network, path, notes={"steps": str(trainer.step)})
            ap = dev.average_precision(path)
    network.to(device).eval()
    return Measured(
        name=name,
        seed=seed,
        parameters=count_parameters(network),
        steps=trainer.step,
        seconds=seconds,
        heatmap_error=held_out_error(network, held_out, config, settings.loss),
        empty_error=empty_error(held_out, config, settings.loss),
        found=found_share(network, held_out),
        ap=ap,
    )


def parse() -> argparse.Namespace:
    """Options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="photos to learn from: COCO keypoints")
    parser.add_argument("images", type=Path, help="folder of the photos, and of the dev photos")
    parser.add_argument("--dev", type=Path, required=True, help="photos to measure on: COCO keypoints")
    parser.add_argument("--no-ap", action="store_true", help="leave out the AP of whole people")
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--steps", type=int, default=1000, help="batches for each network")
    parser.add_argument("--minutes", type=float, help="at most so long for each network: fewer steps where it is short")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--stacks", type=int, default=2)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--side", type=int, default=128, help="pixels of the pictures")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--limit", type=int, help="learn from the first so many photos only")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="a setting of training, as loss.push=...")
    parser.add_argument("--json", type=Path, help="write the figures of each run here, as they come")
    return parser.parse_args()


def main() -> None:
    """Train, measure, print."""
    arguments = parse()
    device = torch.device(resolve_device(arguments.device))
    photos = read_photos(arguments.photos, arguments.images, skeleton=COCO17)[: arguments.limit]
    others = [photo for photo in read_photos(arguments.dev, arguments.images, skeleton=COCO17) if photo.labelled.any()]
    common = {"skeleton": COCO17, "side": arguments.side, "device": device}
    sampler = open_sampler(photos, AugmentationConfig(), batch=arguments.batch, seed=0, **common)
    reader = open_sampler(others, PLAIN, batch=1, seed=0, **common)
    held_out = [reader.batch(step) for step in range(len(others))]  # an epoch: each photo once
    dev = None
    if not arguments.no_ap:
        places = DevSettings(annotations=str(arguments.dev), images=str(arguments.images), short_side=arguments.side)
        dev = DevSet(places, COCO17, device=resolve_device(arguments.device))
    print(f"{len(photos)} photos to learn from, {len(held_out)} to measure on", file=sys.stderr)
    rows: list[Measured] = []
    for seed in arguments.seeds:
        for name in arguments.networks:
            rows.append(measure(name, seed, arguments, sampler, held_out, dev))
            print(rows[-1], file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    try:
        main()
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")
