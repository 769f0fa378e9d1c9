"""The optimizer, its learning rate over time, and the average of the weights that it passes through."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from posetrack_app.training.config import OptimizerSettings

__all__ = ["Average", "freeze_norms", "make_optimizer", "rate_factor", "set_rate"]

_ENCODER = "encoder."


def make_optimizer(network: nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Adam or AdamW over the weights, the encoder at a rate of its own, biases and norms without decay.

    With an `encoder_factor` of 0 the encoder's weights ask for no gradient any more.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if name.startswith(_ENCODER) and settings.encoder_factor == 0:
            parameter.requires_grad_(False)
            continue
        groups.setdefault((name.startswith(_ENCODER), parameter.ndim > 1), []).append(parameter)
    parts = [
        {
            "params": parameters,
            "full_rate": settings.rate * (settings.encoder_factor if encoder else 1),
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (encoder, decays), parameters in groups.items()
    ]
    if settings.name == "adam":
        return torch.optim.Adam(parts, lr=settings.rate, fused=True)
    return torch.optim.AdamW(parts, lr=settings.rate, fused=True)


def rate_factor(step: int, total: int, settings: OptimizerSettings) -> float:
    """What the learning rate is multiplied by at a step, counted from 0, of `total`.

    >>> paper = OptimizerSettings(schedule="steps", milestones=(0.75,), factor=0.05)
    >>> [rate_factor(step, 200, paper) for step in (0, 149, 150, 199)]
    [1.0, 1.0, 0.05, 0.05]
    """
    if step < settings.warmup_steps:
        return (step + 1) / (settings.warmup_steps + 1)
    if settings.schedule == "steps":
        return float(settings.factor ** sum(step >= part * total for part in settings.milestones))
    done = (step - settings.warmup_steps) / max(1, total - 1 - settings.warmup_steps)
    return settings.floor + (1 - settings.floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """The rates of all groups, each its full rate times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["full_rate"] * factor


def freeze_norms(network: nn.Module) -> None:
    """Let batch norms use their running statistics and leave these as they are; their weights are still trained."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


class Average:
    """The average of the weights over time, in which each step counts a little less than the next.

    Running statistics are averaged, too: they belong to the weights.
    """

    def __init__(self, network: nn.Module, *, keep: float) -> None:
        """`keep` is what is left of the average at each step; 0 follows the weights."""
        self._keep = keep
        self._updates = 0
        self._values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights of a step."""
        # At first the average is short, or it would keep the weights of the beginning for long.
        keep = min(self._keep, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        old: list[Tensor] = []
        new: list[Tensor] = []
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                old.append(self._values[name])
                new.append(value)
            else:
                self._values[name].copy_(value)
        torch._foreach_lerp_(old, new, 1 - keep)

    def state_dict(self) -> dict[str, object]:
        """For a checkpoint."""
        return {"updates": self._updates, "values": self._values}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Back from a checkpoint."""
        updates, values = state["updates"], state["values"]
        assert isinstance(updates, int)
        assert isinstance(values, dict)
        self._updates = updates
        for name, value in self._values.items():
            value.copy_(values[name])

    @torch.no_grad()
    def copy_to(self, network: nn.Module) -> None:
        """Give a network of the same shape the averaged weights."""
        network.load_state_dict(self._values)
