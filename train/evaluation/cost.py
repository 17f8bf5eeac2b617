"""What recognising one expression costs: parameters, multiply-adds, time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from realtime.align import FACE_SIZE
from train.runs.load import fresh_model

TIMED = 50
"""Faces to take the time of, one by one; the median counts."""


@dataclass(frozen=True)
class Cost:
    """Of E_exp and C_exp, all that recognises an expression. milliseconds: a face by itself, in
    PyTorch on this machine's CPU, float32."""

    parameters: int
    multiply_adds: int
    milliseconds: float


@torch.inference_mode()
def inference_cost(config: dict) -> Cost:
    """The cost of the network of a run, from its config.json; weights make no difference."""
    model = fresh_model("A run of the comparison", config).eval()
    face = torch.zeros(1, FACE_SIZE, FACE_SIZE, 3, dtype=torch.uint8)
    pixels = model.expression_input(face)
    with FlopCounterMode(display=False) as counter:
        model.expression(pixels)
    seconds = []
    for _ in range(TIMED):
        started = time.perf_counter()
        model.expression(model.expression_input(face))
        seconds.append(time.perf_counter() - started)
    return Cost(
        parameters=sum(weight.numel() for weight in model.expression.parameters()),
        # PyTorch counts a multiply-add as two operations.
        multiply_adds=counter.get_total_flops() // 2,
        milliseconds=1000 * sorted(seconds)[TIMED // 2],
    )
