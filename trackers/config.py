"""The settings of the tracker."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["TrackerConfig"]


@dataclass(frozen=True, kw_only=True)
class TrackerConfig:
    """How poses become tracks. A *body size* is the root of a person's area, about half of the height."""

    duplicate_oks: float = 0.7
    """Of two poses of one frame, the weaker one is removed where it is this similar to the stronger. At 0 everybody
    who overlaps with somebody goes; too high, people are doubled. Of 35,000 pairs of people in PoseTrack 1 in 2,500
    is above 0.7, and 1 in 300 above 0.5."""

    strong_score: float = 0.3
    """Poses from this score on choose their tracks first, and may begin one; weaker ones only continue tracks. At 0
    chairs and shadows become people; too high, faint people stay without identity and tracks begin late."""

    weak_score: float = 0.15
    """Weaker poses have no part in tracks. Too low: who is away stays where a ghost is. Too high: who is half hidden is
    lost."""

    sure_score: float = 0.6
    """A strong pose from this score on is a person at once, without `birth_frames`. At 0 every flicker gets an
    identity; above 1 nobody does at once, and pictures that have nothing to do with each other give no identities."""

    overlay_sizes: float = 0.15
    """A pose whose joints lie within about so many body sizes of those of a stronger one, or of their mirror joints, is
    likely that person seen twice: it begins a track only where its score, less the share of it that lies there, is
    still strong. At 0 every person seen twice is two; too high, people in front of whom others stand get their identity
    late."""

    min_similarity: float = 0.15
    """A pose less similar to a track than this is not that person. At 0 any pose within reach is; too high, people
    who move quickly are broken into pieces."""

    max_sizes_per_second: float = 0.35
    """How far, in body sizes a second, somebody may stray from the predicted path while not seen. At 0 nobody is found
    again who did anything unforeseen; too high, those who come take the identity of those who left."""

    birth_frames: int = 3
    """Strong sightings that make a track a person; one frame in between may be missed. Results come up to so many
    frames late, and the first frames get the identity, too. At 0 or 1 every flicker gets an identity; too high, people
    who are seen shortly get none."""

    recent_seconds: float = 0.3
    """Tracks unseen for at most this long, or seen in the last frame, choose before all others, and may be continued
    by weak poses. At 0 a missed frame costs the precedence; too high, tracks that lost their person take poses of
    others, and weak poses keep them alive."""

    death_seconds: float = 4.0
    """A track unseen for longer is over, and who comes back later is new. It must exceed the time from one frame to
    the next: at 0 everybody is new in every frame. Too high, strangers inherit identities."""

    coast_seconds: float = 0.25
    """A person who is missed for at most this long and then seen again is written as predicted in between, with falling
    scores and the joints seen last; results come up to so much later. At 0 only what was seen is written, with gaps;
    too high, people glide on where they were hidden, and results come late."""

    position_noise: float = 0.5
    """Error of the network's joints in units of OKS's `2 * sigma * size`. At 0 the filter follows every jitter; too
    high, it trusts its prediction and loses people who turn."""

    acceleration: float = 3.0
    """How quickly joints change their velocity: root of the spectral density, body sizes / s^1.5. At 0 everything moves
    straight on; too high, predictions are vague, and neighbours are confused."""

    start_sizes_per_second: float = 1.0
    """Speed that a joint seen for the first time may have. At 0 people who run in are lost after their first frame;
    too high, they may be continued by a neighbour."""

    damping_seconds: float = 0.35
    """Time in which the velocity of an unseen joint falls to 37 %. At 0 it stands still at once; too high, somebody who
    is hidden runs away from where they are."""

    min_likeness: float = 0.93
    """Where poses come with an appearance: how alike somebody who comes back elsewhere, or late, must look to be found
    again. At 0 strangers inherit identities; above 1 nobody is found again by appearance."""

    min_likeness_near: float = 0.0
    """Where poses come with an appearance: how alike somebody lost must look to be found again where they were
    expected. At 0 place alone decides, and a stranger who takes somebody's place inherits the identity; near 1 people
    lose theirs who turn. At 0.3 one in a hundred does, and one stranger in twenty is told apart."""

    recall_seconds: float = 30.0
    """Where poses come with an appearance: how long somebody who is unseen is remembered by it, wherever they come
    back. At 0 appearance finds nobody again who was unseen for longer than `death_seconds`; too high, strangers who
    look alike inherit identities."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"tracker setting {item.name} is {value}, but must be a number from 0 on")
