"""In which order photos are seen: each once an epoch, or as often as the share of its source says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from posetrack_app.errors import UsageError, nearest

__all__ = ["Order"]

_ORDER, _SECONDS, _VIEWS = range(3)
"""Numbers that keep apart what is drawn from one seed."""


class Order:
    """The photos of each step, decided by seed and step alone."""

    def __init__(self, sources: Sequence[str], *, seed: int, batch: int, shares: Mapping[str, float]) -> None:
        """Order photos.

        Args:
            sources: the source of each photo.
            seed: another one gives another order.
            batch: photos a step.
            shares: how often an epoch shows the photos of a source; sources that are not named: once.

        Raises:
            UsageError: a source that no photo has, or nothing is left.
        """
        known = sorted(set(sources))
        for source in shares:
            if source not in known:
                raise UsageError(f"shares: no photo is of source '{source}'; {nearest(source, known)}")
        self._seed = seed
        self._batch = batch
        of = np.array([known.index(source) for source in sources], dtype=np.intp)
        self._groups = [(np.flatnonzero(of == n), float(shares.get(source, 1))) for n, source in enumerate(known)]
        self.length = sum(round(len(photos) * share) for photos, share in self._groups)
        """Photos an epoch."""
        if self.length < 1:
            raise UsageError("there is no photo to train on" + ("; do `shares` leave out all?" if sources else ""))
        weight = np.zeros(len(sources))
        for photos, share in self._groups:
            weight[photos] = share
        self._weight = weight / weight.sum()
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def photos(self, step: int) -> npt.NDArray[np.intp]:
        """(batch,): the photos of a step; epochs follow each other without a gap."""
        places = np.arange(step * self._batch, (step + 1) * self._batch)
        epochs = places // self.length
        return np.concatenate(
            [self._epoch(epoch)[places[epochs == epoch] % self.length] for epoch in np.unique(epochs).tolist()]
        )

    def seconds(self, step: int) -> npt.NDArray[np.intp]:
        """(batch,): photos for the other parts of mosaics, by chance, and as often as their shares say."""
        rng = np.random.default_rng([self._seed, _SECONDS, step])
        return rng.choice(len(self._weight), self._batch, p=self._weight)

    def chance(self, step: int) -> np.random.Generator:
        """Where the chance of a step comes from."""
        return np.random.default_rng([self._seed, _VIEWS, step])

    def _shuffled(self, epoch: int) -> npt.NDArray[np.intp]:
        rng = np.random.default_rng([self._seed, _ORDER, epoch])
        chosen = [np.resize(rng.permutation(photos), round(len(photos) * share)) for photos, share in self._groups]
        return rng.permutation(np.concatenate(chosen))
