"""What the batch of a step holds, before any pixel: decided on the CPU by seed and step alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.training.augmentation import AugmentationConfig, Views, draw_views
from posetrack_app.training.decoding import Pixels, level_sizes
from posetrack_app.training.labels import LabelTable, People
from posetrack_app.training.order import Order
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.rendering import halvings, render_batch
from posetrack_app.training.sampling import Batch

__all__ = ["Plan", "Planner"]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A batch, or a process's share of it."""

    views: Views
    """What is seen where of which photo."""

    people: People
    """The people of the pictures."""


class Planner:
    """Plans batches, and finishes them where the pixels are."""

    def __init__(
        self,
        photos: Sequence[LabelledPhoto],
        config: AugmentationConfig,
        *,
        skeleton: Skeleton,
        size: tuple[int, int],
        batch: int,
        seed: int,
        shares: Mapping[str, float],
        max_side: int,
    ) -> None:
        """Take in photos; see `open_sampler`."""
        self._config = config
        self._size = size
        self._batch = batch
        self._order = Order([photo.source for photo in photos], seed=seed, batch=batch, shares=shares)
        self._table = LabelTable(photos, skeleton=skeleton)
        largest = max_side / (math.prod(size) ** 0.5 * config.min_zoom)  # of a square photo
        self.level_sizes = level_sizes(self._table.photo_size, max_side=max_side, levels=int(halvings(largest)) + 1)
        """int64 (P, L, 2): the sizes in which each photo is kept, so that none is shrunk by much at once."""

    def plan(self, step: int, *, rank: int, world: int) -> Plan:
        """The share of a process in the batch of a step.

        Raises:
            ValueError: the batch cannot be shared equally.
        """
        if self._batch % world:
            raise ValueError(f"a batch of {self._batch} cannot be shared by {world} processes equally")
        views = draw_views(
            self._order.chance(step),
            self._config,
            photos=self._order.photos(step),
            seconds=self._order.seconds(step),
            photo_size=self._table.photo_size,
            centres=self._table.centres,
            first_centre=self._table.first_person,
            size=self._size,
        )
        people = self._table.people(views)
        share = self._batch // world
        return Plan(
            views=views.part(rank * share, (rank + 1) * share),
            people=people.part(rank * share, (rank + 1) * share),
        )

    def finish(self, plan: Plan, pixels: Pixels, rows: npt.NDArray[np.intp]) -> Batch:
        """Render a plan; view v shows photo `rows[v]` of `pixels`."""
        return render_batch(
            pixels,
            rows,
            views=plan.views,
            photo_size=self._table.photo_size[plan.views.photo],
            people=plan.people,
            boxes=self._table.boxes(plan.views),
            discs=self._table.discs(plan.views),
            size=self._size,
        )
