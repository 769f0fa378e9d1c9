"""Where the joints of every track are: one Kalman filter of constant velocity a joint and axis, all in one stack.

filterpy's `KalmanFilter` filters one state a call: 30 people of 17 joints would need 1,020 calls a frame. The same
equations on stacked arrays need a dozen. Both axes of a joint share their covariance, since their noise is the same.

Letters: M tracks, K joints.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Motion"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Motion:
    """The filters of M tracks; row m of every array belongs to track m."""

    def __init__(self, joints: int) -> None:
        self.xy: Array = np.zeros((0, joints, 2))
        """(M, K, 2), pixels: position of each joint now."""
        self.velocity: Array = np.zeros((0, joints, 2))
        """(M, K, 2), pixels a second."""
        self.covariance: Array = np.zeros((3, 0, joints))
        """(3, M, K): variance of the position, covariance of position and velocity, variance of the velocity."""
        self.unseen_seconds: Array = np.zeros((0, joints))
        """(M, K): how long each joint has not been seen."""
        self.known: Mask = np.zeros((0, joints), dtype=bool)
        """(M, K): joints that have a position at all."""

    def __len__(self) -> int:
        return len(self.xy)

    def move(self, camera: Array) -> None:
        """Move everything by an affine map of the picture, (2, 3)."""
        turn = camera[:, :2]
        self.xy = self.xy @ turn.T + camera[:, 2]
        self.velocity = self.velocity @ turn.T
        self.covariance *= abs(np.linalg.det(turn))

    def predict(self, seconds: float, *, acceleration: Array, damping_seconds: float) -> None:
        """Move everything on by some time.

        A joint that was seen in the last frame keeps its velocity. One that was not loses it with the time constant
        `damping_seconds`, so that it does not run away.

        Args:
            seconds: Time step, above 0.
            acceleration: (M,), spectral density of the white noise that drives the velocity, pixels^2 / s^3.
            damping_seconds: Time in which an unseen joint's velocity falls to 37 %.
        """
        decay = np.exp(-seconds / damping_seconds) if damping_seconds > 0 else 0.0
        unseen = self.unseen_seconds > 0
        keep = np.where(unseen, decay, 1.0)
        reach = np.where(unseen, damping_seconds * (1 - decay), seconds)  # F = [[1, reach], [0, keep]]
        self.xy += self.velocity * reach[..., None]
        self.velocity *= keep[..., None]
        p, c, v = self.covariance
        density = acceleration[:, None]
        # F P F' + Q, with Q of a continuous white noise acceleration (filterpy.common.Q_continuous_white_noise).
        p += reach * (2 * c + reach * v) + density * (seconds**3 / 3)
        c += reach * v
        c *= keep
        c += density * (seconds**2 / 2)
        v *= keep * keep
        v += density * seconds
        self.unseen_seconds += seconds

    def correct(self, rows: npt.NDArray[np.intp], xy: Array, found: Mask, noise: Array, *, start: Array) -> None:
        """Take in what was seen of some tracks; what is new of them starts at the velocity of the whole body.

        Args:
            rows: (R,), tracks, each once.
            xy: (R, K, 2), pixels.
            found: (R, K).
            noise: (R, K), variance of a sighting, pixels^2.
            start: (R,), variance of the velocity of a joint that starts, pixels^2 / s^2.
        """
        known = self.known[rows]
        seen = found & known
        p, c, v = self.covariance[:, rows]
        gain = np.where(seen, 1 / (p + noise), 0.0)  # of the position: p * gain, of the velocity: c * gain
        apart = xy - self.xy[rows]
        position = self.xy[rows] + apart * (p * gain)[..., None]
        velocity = self.velocity[rows] + apart * (c * gain)[..., None]
        stay = 1 - p * gain
        p, c, v = p * stay, c * stay, v - c * c * gain

        new = found & ~known
        if new.any():
            weight = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
            body = (velocity * weight[..., None]).sum(axis=1, keepdims=True)
            position = np.where(new[..., None], xy, position)
            velocity = np.where(new[..., None], body, velocity)
            p, c, v = np.where(new, noise, p), np.where(new, 0.0, c), np.where(new, start[:, None], v)
        self.xy[rows], self.velocity[rows] = position, velocity
        self.covariance[:, rows] = p, c, v
        self.unseen_seconds[rows] = np.where(found, 0.0, self.unseen_seconds[rows])
        self.known[rows] = known | found

    def forget(self, rows: npt.NDArray[np.intp], *, seconds: float) -> None:
        """Drop the joints of some tracks that have not been seen for so long; they start anew when found."""
        self.known[rows] &= self.unseen_seconds[rows] <= seconds

    def add(self, count: int) -> None:
        """Append tracks of which nothing is known yet."""
        joints = self.xy.shape[1]
        self.xy = np.concatenate([self.xy, np.zeros((count, joints, 2))])
        self.velocity = np.concatenate([self.velocity, np.zeros((count, joints, 2))])
        self.covariance = np.concatenate([self.covariance, np.zeros((3, count, joints))], axis=1)
        self.unseen_seconds = np.concatenate([self.unseen_seconds, np.zeros((count, joints))])
        self.known = np.concatenate([self.known, np.zeros((count, joints), dtype=bool)])

    def keep(self, rows: Mask) -> None:
        """Drop all tracks but these, (M,)."""
        self.xy, self.velocity = self.xy[rows], self.velocity[rows]
        self.covariance = self.covariance[:, rows]
        self.unseen_seconds, self.known = self.unseen_seconds[rows], self.known[rows]
