"""In which order photos are seen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.errors import UsageError
from posetrack_app.training.order import Order


@given(count=st.integers(1, 30), batch=st.integers(1, 40), seed=st.integers(0, 5), epochs=st.integers(1, 3))
def test_each_photo_once_an_epoch(count: int, batch: int, seed: int, epochs: int) -> None:
    order = Order(["a"] * count, seed=seed, batch=batch, shares={})
    steps = -(-count * epochs // batch)
    seen = np.concatenate([order.photos(step) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(seen[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))
    assert np.array_equal(order.photos(0), seen[:batch])


def test_epochs_differ() -> None:
    order = Order(["a"] * 50, seed=1, batch=50, shares={})
    assert order.photos(0).tolist() != order.photos(1).tolist()


def test_shares() -> None:
    """A share of 2.5 shows half of the photos three times, the others twice, and not always the same half."""
    sources = ["few"] * 4 + ["many"] * 20 + ["none"] * 3
    order = Order(sources, seed=1, batch=10 + 20, shares={"few": 2.5, "none": 0})
    assert order.length == 30
    often = set()
    for epoch in range(6):
        seen = Counter(order.photos(epoch).tolist())
        assert sorted(seen[photo] for photo in range(4)) == [2, 2, 3, 3]
        assert all(seen[photo] == 1 for photo in range(4, 24))
        assert not any(seen[photo] for photo in range(24, 27))
        often.add(tuple(photo for photo in range(4) if seen[photo] == 3))
    assert len(often) > 1
    seconds = np.concatenate([order.seconds(step) for step in range(100)])
    assert seconds.max() < 24
    assert abs((seconds < 4).mean() - 1 / 3) < 0.05


@pytest.mark.parametrize(
    ("sources", "shares", "says"),
    [
        (["coco", "lspet"], {"cocoo": 1.0}, "no photo is of source 'cocoo'; did you mean 'coco'"),
        (["coco"], {"coco": 0.0}, "no photo to train on; do `shares` leave out all"),
        ([], {}, "no photo to train on"),
    ],
)
def test_refused(sources: list[str], shares: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Order(sources, seed=1, batch=1, shares=shares)
