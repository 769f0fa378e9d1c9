"""Poses of every person in every frame of a video, with identities that stay."""

import os

# Threads of the network that wait for each other sleep soon instead of spinning: decoder and encoder run beside them,
# and a thread that spins on a core that its partner needs makes a frame take several times as long. Read when OpenMP
# is loaded, so it stands here, before anything that loads it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("KMP_BLOCKTIME", "1")
