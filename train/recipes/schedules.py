"""Learning rates over a training, by name."""

from __future__ import annotations

from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR

ScheduleName = Literal["paper", "fdrl", "one-cycle"]

FDRL_EPOCHS = (10, 18, 25, 32)
"""After which of FDRL's 40 epochs the rate falls (Ruan et al., section 4.2)."""


def make_schedule(
    name: ScheduleName, optimizer: Optimizer, steps: int, momentum: bool = True
) -> LRScheduler:
    """Stepped once a training step, from the rate the optimizer was made with.

    paper: a tenth after each third of the `steps`, which is every 10 of the paper's 30 epochs
    (IPD-FER, section 4.2). fdrl: likewise where FDRL's 40 epochs have it. one-cycle: up to that
    rate over a fifth of them, then down to 0; it moves Adam's β1 too, unless `momentum` is off.
    """
    if name == "paper":
        return MultiStepLR(optimizer, [round(steps / 3), round(2 * steps / 3)], gamma=0.1)
    if name == "fdrl":
        return MultiStepLR(optimizer, [round(steps * each / 40) for each in FDRL_EPOCHS], gamma=0.1)
    if name == "one-cycle":
        peak = optimizer.param_groups[0]["lr"]
        return OneCycleLR(
            optimizer, peak, total_steps=steps, pct_start=0.2, cycle_momentum=momentum
        )
    raise ValueError(f"There is no schedule {name!r}; choose fdrl, paper or one-cycle.")
