"""The schedules by `torch.optim.lr_scheduler`: its own where it has them, LambdaLR for the one that it lacks.

PyTorch's schedulers multiply a group's learning rate at each epoch. A momentum follows the same functions of
the epoch, so its values are compared as if they were learning rates.
"""

from collections.abc import Callable
from math import exp

import torch
from torch.optim.lr_scheduler import ConstantLR, ExponentialLR, LambdaLR, LinearLR, LRScheduler, StepLR


def values(initial: float, scheduler: Callable[[torch.optim.Optimizer], LRScheduler], n: int) -> list[float]:
    """What a learning rate that begins with `initial` is at the epochs 0 ... n - 1 under `scheduler`."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=initial)
    schedule, found = scheduler(optimizer), []
    for _ in range(n):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def constant(initial: float, n: int) -> list[float]:
    """ConstantLR with factor 1."""
    return values(initial, lambda o: ConstantLR(o, factor=1.0), n)


def exponential(initial: float, decay: float, n: int) -> list[float]:
    """ExponentialLR."""
    return values(initial, lambda o: ExponentialLR(o, gamma=decay), n)


def linear(initial: float, final: float, epochs: int, n: int) -> list[float]:
    """LinearLR, whose two factors may not exceed 1, so that they are of the larger end."""
    top = max(initial, final)
    return values(top, lambda o: LinearLR(o, initial / top, final / top, total_iters=epochs), n)


def saturating(initial: float, final: float, epochs: float, n: int) -> list[float]:
    """LambdaLR: PyTorch has no such scheduler."""
    return values(1.0, lambda o: LambdaLR(o, lambda k: final + (initial - final) * exp(-k / epochs)), n)


def step(initial: float, factor: float, epochs: int, n: int) -> list[float]:
    """StepLR."""
    return values(initial, lambda o: StepLR(o, step_size=epochs, gamma=factor), n)
