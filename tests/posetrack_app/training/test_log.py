"""The log: rows survive a kill, and what came after a checkpoint goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from posetrack_app.errors import InputError, OutputError
from posetrack_app.training.log import FIRST_COLUMNS, Log, draw, read


def row(step: int, **values: float | None) -> dict[str, float | None]:
    return {"step": step, "loss": 1 / step, "dev_ap": None, "sparse_0_heatmap": 0.5, "sparse_0_push": 0.1, **values}


def test_rows_are_on_the_disk_at_once_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = Log(path, step=0)
    assert read(path) == []
    log.add(row(10))
    log.add(row(20, dev_ap=31.5))
    first, second = read(path)
    assert list(first) == [*FIRST_COLUMNS, "sparse_0_heatmap", "sparse_0_push"]
    assert (first["step"], first["loss"], first["dev_ap"], first["rate"]) == (10, 0.1, None, None)
    assert second["dev_ap"] == 31.5


def test_going_on_cuts_later_rows_and_a_line_that_a_kill_broke_off(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = Log(path, step=0)
    for step in (10, 20, 30):
        log.add(row(step))
    path.write_text(path.read_text() + "40,0.1,0.")
    assert [one["step"] for one in read(path)] == [10, 20, 30]
    Log(path, step=20).add(row(21))
    assert [one["step"] for one in read(path)] == [10, 20, 21]
    assert path.read_text().count("step,") == 1


def test_a_training_from_the_beginning_has_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    Log(path, step=0).add(row(10))
    Log(path, step=0).add(row(5))
    assert [one["step"] for one in read(path)] == [5]


def test_what_is_no_log_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,much\n")
    with pytest.raises(InputError, match=r"log.csv is no log of a training"):
        read(path)
    with pytest.raises(OutputError, match="cannot write"):
        Log(tmp_path / "nowhere" / "log.csv", step=0)


@pytest.mark.parametrize("steps", [0, 1, 50])
def test_the_picture_has_every_curve(steps: int, tmp_path: Path) -> None:
    rows = [row(step, dev_ap=30.0 if step % 10 == 0 else None) for step in range(1, steps + 1)]
    draw(rows, tmp_path / "log.svg")
    text = (tmp_path / "log.svg").read_text()
    assert "learning rate" in text
    assert ("sparse_0_push" in text) is False  # alone in its panel: the title says what it is
    draw(rows, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == text
