# make demo    sets everything up, draws a clip, tracks the people in it, says where the results are
# make test    sets everything up, runs the tests
# make check   style and types
# make bench   speed by stage on a clip: make bench VIDEO=clip.mp4

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
VIDEO ?= out/sample/sample.mp4

.PHONY: help setup demo test check bench clean

help:
	@sed -n 's/^# //p' Makefile

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "setting up $(VENV): a few minutes the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[cpu,dev]'
	@touch $@

demo: setup
	@$(RUN) -m posetrack_app sample out/sample
	@$(RUN) -m posetrack_app run out/sample/sample.mp4 --out out/demo --overwrite
	@$(RUN) -m posetrack_app view out/demo/sample --video out/sample/sample.mp4 --overwrite
	@echo
	@echo "Look at   out/demo/sample/tracked.mp4    the video, in any player or browser"
	@echo "          out/demo/sample/view.html      a page to look at the run and correct it, in any browser"
	@echo "          out/demo/sample/poses.parquet  one row a joint: frame, seconds, track, joint, x, y, score"
	@echo "          out/demo/sample/poses.json     the same in PoseTrack's form"
	@echo "          out/demo/sample/run.json       what was done, how fast, and what to know"
	@echo "Next      $(RUN) -m posetrack_app run YOUR_VIDEO.mp4"

test: setup
	@$(RUN) -m pytest

check: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

out/sample/sample.mp4: | setup
	@$(RUN) -m posetrack_app sample out/sample

bench: setup $(VIDEO)
	@$(RUN) scripts/bench_pipeline.py $(VIDEO)

clean:
	rm -rf out build *.egg-info
