"""From settings to what a training works with: photos, the network, what is said about them."""

from __future__ import annotations

import dataclasses
import platform
import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import torch

from models import weights
from models.cluster_net import ClusterNet, ClusterNetConfig
from models.skeleton import Skeleton
from posetrack_app.engines import resolve_precision
from posetrack_app.errors import InputError, UsageError, WeightsError, nearest
from posetrack_app.training.annotations import read_photos
from posetrack_app.training.config import TrainingSettings
from posetrack_app.training.heads import remap
from posetrack_app.training.photos import LabelledPhoto

__all__ = ["doubts", "make_network", "notes_of", "read_sets", "resolve_training_precision", "summary"]

_LOST = 0.02
"""Share of labelled joints beyond the picture from which on labels and pictures are taken to disagree."""


def read_sets(settings: TrainingSettings, skeleton: Skeleton) -> list[LabelledPhoto]:
    """The photos of all sets, those of sources with a share of 0 left out.

    Raises:
        UsageError: no sets, or a share of a source that does not exist.
        UserError: annotations or photos are missing or broken.
    """
    if not settings.data.sets:
        raise UsageError('data.sets is empty: say what to learn from, as in [[data.sets]] annotations = "train.json"')
    photos: list[LabelledPhoto] = []
    for number, one in enumerate(settings.data.sets):
        annotations = Path(one.annotations)
        if not annotations.exists():
            raise InputError(f"data.sets[{number}]: no annotations at {annotations.absolute()}")
        images = Path(one.images) if one.images else None
        if images is not None and not images.is_dir():
            raise InputError(f"data.sets[{number}]: no folder of images at {images.absolute()}")
        found = read_photos(annotations, images, skeleton=skeleton)
        name = one.name or annotations.stem
        photos += [photo if photo.source else dataclasses.replace(photo, source=name) for photo in found]
    sources = {photo.source for photo in photos}
    shares = settings.data.shares
    for source in shares:
        if source not in sources:
            raise UsageError(f"data.shares: no photo is of source '{source}'; {nearest(source, sources)}")
    photos = [photo for photo in photos if shares.get(photo.source, 1.0) > 0]
    if not photos:
        raise InputError("data.sets hold no photos")
    return photos


def summary(photos: Sequence[LabelledPhoto]) -> str:
    """How much there is of each source, one a line."""
    count = Counter(photo.source for photo in photos)
    people: Counter[str] = Counter()
    joints: Counter[str] = Counter()
    for photo in photos:
        people[photo.source] += int(photo.labelled.any(axis=1).sum())
        joints[photo.source] += int(photo.labelled.sum())
    width = max(map(len, count))
    return "\n".join(
        f"  {source:{width}}  {number:6} photos  {people[source]:6} people  {joints[source]:7} joints"
        for source, number in count.most_common()
    )


def doubts(photos: Sequence[LabelledPhoto], skeleton: Skeleton) -> list[str]:
    """What looks wrong about photos and their labels, one sentence each."""
    found = []
    labelled = sum((photo.labelled.sum(axis=0) for photo in photos), start=torch.zeros(len(skeleton.joints)).numpy())
    never = [name for name, number in zip(skeleton.joints, labelled, strict=True) if number == 0]
    if not labelled.any():
        found.append("no joint is labelled in any photo: are these the right annotations?")
    elif never:
        found.append(f"never labelled, so never learned: {', '.join(never)}")
    lost: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for photo in photos:
        lost[photo.source] += photo.beyond
        whole[photo.source] += photo.beyond + int(photo.labelled.sum())
    for source, number in lost.items():
        if number > _LOST * whole[source]:
            share = 100 * number / whole[source]
            found.append(f"'{source}': {share:.0f} % of the labelled joints lie beyond their photo: other pictures?")
    return found


def make_network(settings: TrainingSettings, config: ClusterNetConfig) -> ClusterNet:
    """The network to begin with: random weights by the seed, or those of `network.init`.

    Raises:
        WeightsError: no such weights, or of a network of other shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.run.seed)
        network = ClusterNet(config)
    if settings.network.init:
        try:
            trained = weights.load(settings.network.init)
            network.load_state_dict(remap(trained.state_dict(), trained.config, config))
        except (FileNotFoundError, ValueError) as error:
            raise WeightsError(str(error)) from None
    return network


def resolve_training_precision(
    name: Literal["auto", "float32", "bfloat16"], device: str
) -> Literal["float32", "bfloat16"]:
    """The precision itself; `auto` takes bfloat16 where the device has arithmetic for it."""
    if name != "auto":
        return name
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if resolve_precision("auto", device) == "bfloat16" else "float32"


def notes_of(
    settings: TrainingSettings, photos: Sequence[LabelledPhoto], *, device: torch.device, world: int
) -> dict[str, str]:
    """What the weights' file says of how it was made."""
    sources = Counter(photo.source for photo in photos)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "made": date.today().isoformat(),
        # Absolute folders say nothing elsewhere, and may be private.
        "command": re.sub(r"/(?:[^/\s\"'=]+/)+", "", shlex.join(["python", "-m", "posetrack_app", *sys.argv[1:]])),
        "data": ", ".join(f"{source} {number}" for source, number in sources.most_common()),
        "init": settings.network.init or "random numbers",
        "seed": str(settings.run.seed),
        "hardware": f"{world} x {name}" if world > 1 else name,
        "torch": torch.__version__,
    }
