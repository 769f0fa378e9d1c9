"""Where the time goes: measured on stages that are slow on purpose, and told with options that exist."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from posetrack_app.cli import app
from posetrack_app.errors import InputError
from posetrack_app.stages import Clock, Stage, advice, bottleneck, table

CPU = {"device": "cpu", "engine": "OpenVINO 2026.3", "short_side": 256, "mirror": False}


def stages(**work: float) -> list[Stage]:
    found = [Stage(name, work.get(name, 1.0), 2.0, 3.0) for name in ("decode", "draw", "encode")]
    parts = {"prepare": 0.5, "network": work.get("network", 1.0), "grouping": work.get("grouping", 0.2)}
    return [found[0], Stage("network", sum(parts.values()), work.get("silence", 0.0), 0.1, parts), *found[1:]]


def test_a_clock_tells_work_from_waiting() -> None:
    clock = Clock()

    def slow() -> Iterator[int]:
        for number in range(4):
            time.sleep(0.02)
            yield number

    taken = []
    for number in clock.waiting("frames", slow()):
        with clock.stage("tracking"):
            time.sleep(0.01)
        taken.append(number)
    assert taken == [0, 1, 2, 3]
    assert 0.08 <= clock.waits["frames"] < 1
    assert 0.04 <= clock.seconds["tracking"] < 1


def test_an_error_passes_through_a_clock() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise InputError("over")

    taken = []
    with pytest.raises(InputError, match="over"):
        taken.extend(Clock().waiting("frames", broken()))


@pytest.mark.parametrize("name", ["decode", "network", "draw", "encode"])
def test_the_slowest_stage_is_named(name: str) -> None:
    found = stages(**{name: 9.0})
    assert bottleneck(found).name == name
    assert {"decode": "Decoding", "network": "network", "draw": "Drawing", "encode": "Encoding"}[name] in advice(
        found, network=CPU, every=1, live=False
    )


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (CPU, "GPU"),
        ({**CPU, "engine": "PyTorch 2.13"}, "pip install openvino"),
        ({**CPU, "mirror": True}, "--no-mirror"),
        ({**CPU, "short_side": 384}, "--short-side 288 does with 56 %"),
        ({"device": "cuda", "short_side": 192}, "--every 4"),
        ({}, "--every 4"),
    ],
)
def test_advice_fits_the_network(network: dict[str, Any], says: str) -> None:
    sentence = advice(stages(network=9.0), network=network, every=2, live=False)
    assert says in sentence
    assert ("a GPU is" in sentence) == ("OpenVINO" in str(network.get("engine")))


def test_who_shares_the_processor_is_told_of() -> None:
    for encode, told in ((0.5, False), (4.0, True)):
        found = stages(network=9.0, draw=0.5, encode=encode)
        assert ("--no-video" in advice(found, network=CPU, every=1, live=False)) == told
        assert "--no-video" not in advice(found, network={**CPU, "device": "cuda"}, every=1, live=False)


def test_where_nothing_helps_nothing_is_advised() -> None:
    network = {"device": "cuda", "short_side": 192}
    assert advice(stages(network=9.0), network=network, every=3, live=False) == "The network takes longest."


def test_a_crowd_and_a_camera_are_told_of() -> None:
    assert "'grouping'" in advice(stages(grouping=9.0), network=CPU, every=1, live=False)
    assert "input sets the pace" in advice(stages(silence=30.0), network=CPU, every=1, live=True)


def test_advice_names_options_that_there_are() -> None:
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for name in ("decode", "network", "draw", "encode", "grouping"):
        for network in (CPU, {**CPU, "mirror": True}):
            sentence = advice(stages(**{name: 9.0}), network=network, every=1, live=False)
            assert set(re.findall(r"--[a-z-]+", sentence)) <= options, sentence


def test_the_table_is_short_and_in_columns() -> None:
    lines = table(stages(network=123.4))
    assert len(lines) == 5
    assert all(len(line) <= 120 for line in lines)
    assert lines[2].endswith("   network 123.4")
    assert table(stages(network=3.0))[2].endswith("   network 3.0, prepare 0.5, grouping 0.2")
    ends = [[match.end() for match in re.finditer(r"\S+(?: \S+)*", line)][:4] for line in lines]
    assert all(end[1:] == ends[0][1:] for end in ends[1:])
