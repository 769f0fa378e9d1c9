"""Settings: what a file or an option says is taken, what is wrong is named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from posetrack_app import config
from posetrack_app.config import Settings

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert config.load(write(tmp_path, "")) == Settings()


def test_a_file_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, '[network]\nshort_side = 384\n[render]\nstyle = "black"\n'))
    assert settings.network.short_side == 384
    assert settings.render.style == "black"
    assert settings.tracker == Settings().tracker
    assert settings.network.weights == "small"


def test_the_shipped_file_shows_every_setting_with_its_default() -> None:
    path = ROOT / "configs" / "run.toml"
    assert config.load(path) == Settings()
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    shown = {f"{section}.{key}" for section, keys in sections.items() for key in keys}
    assert shown == config.names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[netwrok]\n", "unknown key 'netwrok'; did you mean 'network'?"),
        ("[network]\nshort_sid = 1\n", "unknown key 'network.short_sid'; did you mean 'network.short_side'?"),
        ("network = 3\n", "'network' is a section, not a value: write [network]"),
        ('[network]\nshort_side = "big"\n', "network.short_side"),
        ('[network]\ndevice = "tpu"\n', "network.device"),
        ("[network\n", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run.toml") as caught:
        config.load(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none.toml cannot be read"):
        config.load(tmp_path / "none.toml")


def test_assignments_lie_over_the_settings() -> None:
    settings = config.override(Settings(), ["network.short_side=320", "render.style=boxes", "video.enabled=false"])
    assert settings.network.short_side == 320
    assert settings.render.style == "boxes"
    assert settings.video.enabled is False


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("network.short_side", "lacks a value"),
        ("network.shortside=3", "did you mean 'network.short_side'?"),
        ("network=3", "is a section"),
        ("network.short_side.x=3", "network.short_side"),
        ("network.mirror=maybe", "network.mirror"),
        ("network.short_side=0", "short_side is 0, it must be at least 32 pixels, at `network`"),
        ("network.short_side=100000", "short_side is 100000, it must be at most 4096 pixels, at `network`"),
        ("network.batch=-1", "batch is -1"),
        ("video.quality=99", "quality is 99"),
        ("video.scale=0", "scale is 0.0, it must be above 0 and at most 1"),
        ("video.scale=1.5", "scale is 1.5"),
        ("video.encoder=h265", "video.encoder"),
        ("network.every=0", "every is 0, it must be at least 1"),
        ("input.image_rate=0", "image_rate is 0"),
        ("input.queue_frames=0", "queue_frames is 0"),
        ("tracker.death_seconds=-1", "death_seconds is -1"),
    ],
)
def test_a_wrong_assignment_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match="setting '") as caught:
        config.override(Settings(), [assignment])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
