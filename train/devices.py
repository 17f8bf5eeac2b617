"""The device to train on, and the precision that it is fast in."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import torch

from train.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

AUTO = "auto"
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""As Lightning Fabric names them; it knows others too."""


def choose_precision(device: str) -> tuple[str, str]:
    """What ``--precision auto`` means on a device (auto, cpu or cuda), and why."""
    if device != "cpu" and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "this GPU computes in bfloat16"
        return "32-true", "this GPU does not compute in bfloat16"
    if cpu_has_bfloat16():
        return "bf16-mixed", "this processor computes in bfloat16"
    return (
        "32-true",
        "this processor does not compute in bfloat16, and emulating it takes far longer",
    )


def cpu_has_bfloat16() -> bool:
    """Whether the processor has instructions for it. PyTorch runs bfloat16 on any other too, by way
    of float32, and oneDNN counts every AVX-512 as able, which is not enough to be fast."""
    if platform.machine() in ("x86_64", "AMD64"):
        return torch.cpu._is_avx512_bf16_supported()
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def make_fabric(device: str, precision: str, devices: int = 1, nodes: int = 1) -> Fabric:
    """A launched Fabric on the devices asked for; UserError where they cannot be had.

    Several devices train as one (distributed data parallel: the gradients are averaged after each
    step). The same as on one device are the number of faces in a step, losses that are means over
    faces, and the update that a set of faces gives. Different are the order of the faces, the
    augmentation, which each device draws for itself, batch normalisation, which sees the faces of
    its own device alone, and means over the faces whose pose is known, taken on each device first.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"Unknown device {device!r}; choose auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"--device cuda: PyTorch {torch.__version__} sees no CUDA device. Install a CUDA build "
            "and a driver, or use --device cpu."
        )
    if device == "cuda" and torch.cuda.device_count() < devices:
        raise UserError(
            f"--devices {devices}: PyTorch sees {torch.cuda.device_count()} CUDA devices."
        )
    # Here, since loading it takes as long as PyTorch, and not every command has to wait for it.
    from lightning_fabric import Fabric

    try:
        fabric = Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            precision=precision,  # type: ignore[arg-type]  # whatever the user says
        )
    except ValueError as error:
        if "precision" not in str(error).lower():
            raise
        known = ", ".join(PRECISIONS)
        raise UserError(f"--precision {precision}: choose auto or one of {known}.") from None
    fabric.launch()
    return fabric


def check_one_precision(fabric: Fabric, precision: str) -> None:
    """UserError on all machines where they have not taken the same one."""
    if fabric.world_size > 1 and precision in PRECISIONS:
        own = torch.tensor(PRECISIONS.index(precision), device=fabric.device)
        gathered = fabric.all_gather(own)
        if len(torch.unique(gathered)) > 1:
            raise UserError(
                f"--precision auto is {precision} on this machine and another on others: give all "
                "of them the same one, say --precision 32-true."
            )
