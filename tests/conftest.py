"""What many tests share: where optional test data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# On a build machine the same examples each time: a failure there is a failure here. Elsewhere new ones are tried.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

ROOT = Path(__file__).resolve().parents[1]
_SHARED = Path(os.environ.get("POSETRACK_TEST_DATA", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of data that is not part of the repository; a test that asks for it skips where it is absent."""
    if not _SHARED.is_dir():
        pytest.skip(f"no test data at {_SHARED} (set POSETRACK_TEST_DATA)")
    return _SHARED
