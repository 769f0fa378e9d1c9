"""Optimizer, learning rate, average of the weights, frozen batch norms: against figures worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from posetrack_app.training.config import OptimizerSettings
from posetrack_app.training.optimizing import Average, freeze_norms, make_optimizer, rate_factor, set_rate


def net() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Module()
    network.encoder = nn.Conv2d(3, 4, 1)
    network.head = nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
    return network


def test_encoder_biases_and_norms_have_their_own_rates_and_decay() -> None:
    network = net()
    optimizer = make_optimizer(
        network, OptimizerSettings(name="adamw", rate=1e-3, encoder_factor=0.1, weight_decay=0.5)
    )
    set_rate(optimizer, 0.5)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    values = {name: found[id(parameter)] for name, parameter in network.named_parameters()}
    assert values == {
        "encoder.weight": (pytest.approx(5e-5), 0.5),
        "encoder.bias": (pytest.approx(5e-5), 0.0),
        "head.0.weight": (pytest.approx(5e-4), 0.5),
        "head.0.bias": (pytest.approx(5e-4), 0.0),
        "head.1.weight": (pytest.approx(5e-4), 0.0),
        "head.1.bias": (pytest.approx(5e-4), 0.0),
    }


def test_a_frozen_encoder_is_left_alone() -> None:
    network = net()
    optimizer = make_optimizer(network, OptimizerSettings(encoder_factor=0))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    assert {name for name, value in network.named_parameters() if not value.requires_grad} == {
        "encoder.weight",
        "encoder.bias",
    }


def test_the_rates_of_the_paper() -> None:
    coco = OptimizerSettings(rate=2e-4, milestones=(0.75,), factor=0.05)
    rates = [2e-4 * rate_factor(step, 200, coco) for step in range(200)]
    assert rates == [pytest.approx(2e-4)] * 150 + [pytest.approx(1e-5)] * 50
    posetrack = OptimizerSettings(rate=1e-5, milestones=(0.75,), factor=0.1)
    assert [1e-5 * rate_factor(step, 20, posetrack) for step in (14, 15)] == [pytest.approx(1e-5), pytest.approx(1e-6)]


def test_the_cosine_rises_falls_and_ends_at_its_floor() -> None:
    settings = OptimizerSettings(schedule="cosine", warmup_steps=9, floor=0.1)
    factors = [rate_factor(step, 100, settings) for step in range(100)]
    assert factors[:9] == [pytest.approx((step + 1) / 10) for step in range(9)]
    assert factors[9] == 1
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[54] == pytest.approx(0.55)
    assert factors[-1] == pytest.approx(0.1)


def test_a_training_of_one_step_has_a_rate() -> None:
    for schedule in ("steps", "cosine"):
        factor = rate_factor(0, 1, OptimizerSettings(schedule=schedule))
        assert math.isfinite(factor)
        assert factor > 0


def test_the_average_is_a_weighted_mean_of_what_it_saw() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = Average(network, keep=0.3)
    expected, seen = 1.0, (2.0, 5.0, -1.0, 4.0)
    for number, value in enumerate(seen):
        nn.init.constant_(network.weight, value)
        average.update(network)
        keep = min(0.3, (1 + number) / (10 + number))
        expected = keep * expected + (1 - keep) * value
    result = nn.Linear(1, 1, bias=False)
    average.copy_to(result)
    assert result.weight.item() == pytest.approx(expected)


def test_a_young_average_has_forgotten_where_the_weights_began() -> None:
    """However long its memory: after 20 steps at the same place it is there; and a resumed one is as old as it was."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    average = Average(network, keep=0.9999)
    nn.init.constant_(network.weight, 1.0)
    for _ in range(20):
        average.update(network)
    result = nn.Linear(1, 1, bias=False)
    average.copy_to(result)
    assert result.weight.item() > 0.99
    resumed = Average(network, keep=0.9999)
    resumed.load_state_dict(average.state_dict())
    nn.init.constant_(network.weight, 2.0)
    resumed.update(network)
    resumed.copy_to(result)
    assert 1.2 < result.weight.item() < 1.5  # a third of the way; one that is new goes nine tenths of it


def test_the_average_has_the_running_statistics_too() -> None:
    network = nn.BatchNorm2d(2)
    average = Average(network, keep=0.0)
    network(torch.randn(4, 2, 3, 3))
    average.update(network)
    result = nn.BatchNorm2d(2)
    average.copy_to(result)
    torch.testing.assert_close(result.running_mean, network.running_mean)
    assert result.num_batches_tracked == 1


def test_frozen_norms_use_what_they_know_and_are_trained() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    freeze_norms(network)
    before = network[1].running_mean.clone()
    images = torch.randn(4, 1, 3, 3)
    network(images).sum().backward()
    torch.testing.assert_close(network[1].running_mean, before)
    assert network[1].weight.grad is not None
    # A picture's result does not depend on the others of the batch.
    torch.testing.assert_close(network(images)[:1], network(images[:1]))
