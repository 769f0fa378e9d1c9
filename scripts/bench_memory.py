"""Peak memory over the length of a video: `python scripts/bench_memory.py CLIP [--frames 200 5000]`.

Loops a clip to each length without decoding it, tracks it in a process of its own, and prints that peak.
Linux and macOS.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av


def loop(clip: Path, frames: int, out: Path) -> None:
    """Copy the packets of `clip` again and again until there are `frames` of them."""
    with av.open(str(out), "w") as target:
        written, offset = 0, 0
        stream = None
        while written < frames:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None or written == frames:
                        continue
                    end = max(end, packet.pts + (packet.duration or 1))
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    target.mux(packet)
                    written += 1
                offset += end


def main() -> None:
    """Parse, loop, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", default=[200, 5000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for frames in arguments.frames:
            video = Path(folder) / f"loop{frames}{arguments.clip.suffix}"
            loop(arguments.clip, frames, video)
            command = [sys.executable, "-m", "posetrack_app", "run", str(video), "--out", folder, "--quiet"]
            _, status, usage = os.wait4(subprocess.Popen(command).pid, 0)
            if status:
                sys.exit(f"the run over {frames} frames failed")
            unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
            print(f"{frames:>7} frames: peak {usage.ru_maxrss * unit / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
