"""Writes a trained run as the one ONNX file that the engine runs."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import onnxruntime
import torch
import tyro
from torch import Tensor, nn

from realtime.align import FACE_SIZE
from train.errors import UserError
from train.export.lean import round_weights, without_projections
from train.export.models_json import MODELS, register, save_model
from train.files import file_sha256, read_json
from train.networks.face_model import FaceModel
from train.runs.checkpoint import load_state
from train.runs.decision import Decision, Prior, read_calibration, read_decision
from train.runs.folder import RunFolder
from train.runs.initial import licence_of_start
from train.runs.load import load_model
from train.runs.model_file import start_from_file

TOLERANCE = {"expression": 1e-4, "pose": 1e-2}
"""Largest difference allowed between ONNX and torch: of a probability, and in degrees."""
ROUNDED_TOLERANCE = {"expression": 0.05, "pose": 1.0}
"""The same once the weights are rounded."""


UNCHANGED = Decision()


class ExportedModel(nn.Module):
    """The contract of the model file: ``faces`` uint8 (n, 112, 112, 3) RGB → ``expression``
    probabilities (n, classes) and ``pose`` degrees (n, 3) as seen in the aligned face.

    `decision` (train.runs.decision) becomes a scale and a bias on the logits, before the softmax.
    """

    def __init__(self, model: FaceModel, decision: Decision = UNCHANGED):
        super().__init__()
        self.model = model
        classes = model.expression.classifier.out_features
        bias = torch.from_numpy(decision.bias(classes)).float()
        self.register_buffer("scale", torch.tensor(1 / decision.temperature))
        self.register_buffer("bias", bias)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(faces)
        logits = output.expression * self.scale + self.bias
        return logits.softmax(dim=1), output.pose


def export_run(
    run: Path, output: Path, prior: Prior | None = None, pose: Path | None = None
) -> Path:
    """Write the best epoch of `run` as the ONNX file `output`, compare it with torch, before and
    after its weights are rounded (train.export.lean), and list it in the models.json beside it.
    UserError where ONNX and torch differ too much.

    prior: the decision that is folded in, see train.runs.decision; None for the last one that
    `calibrate` has chosen, and "data" where it has not run. The file's metadata holds it as
    ``decision``.
    pose: an exported file whose pose branch takes the place of the run's.
    UserError for weights that started from a recognition network whose licence does not let them
    be passed on; where it does, models.json and the metadata name it.
    """
    model, config = load_model(run)
    if pose:
        start_from_file(pose, model, None, branch="pose")
    licence = licence_of_start(config.get("started_from"))
    if licence is None:
        raise UserError(
            f"{run} started from {config['started_from']}, research weights that may not be passed "
            "on: teach another network with `fit distill --teacher` and export that."
        )
    calibration = read_calibration(run)
    used = prior or _last_chosen(calibration)
    decision = read_decision(run, used)
    best = load_state(RunFolder(run).best)["log"]
    # Before what takes long: where an entry is missing, that is said at once.
    source = _source(config) + (f"; pose branch of {file_sha256(pose)[:12]}" if pose else "")
    about = {
        "recipe": config["recipe"],
        "network": config["options"]["network"],
        "pose_network": config["options"]["pose_network"],
        "epoch": best["epoch"],
        "seed": config["fit"]["seed"],
        "validation_accuracy": round(best["accuracy"], 4),
        "prior": used,
        "temperature": round(decision.temperature, 4),
        "prior_strength": round(decision.tau, 4),
    }
    metadata = {
        "labels": json.dumps(config["classes"]),
        "training": json.dumps(about),
        "decision": json.dumps(_decision_metadata(used, decision, bool(calibration))),
    }
    if licence:
        metadata["started_from"] = f"{config['started_from']}: {licence}"
    graph = ExportedModel(model, decision).eval()
    file = _traced(ExportedModel(without_projections(model), decision).eval())
    exact = compare(graph, file, TOLERANCE)
    round_weights(file)
    rounded = compare(graph, file, ROUNDED_TOLERANCE)
    save_model(file, output, metadata)
    register(
        output,
        made_by=f"python -m train fit {config['recipe']}; python -m train export face",
        source=source,
        licence=_licence(licence),
        notes=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in about.items()),
        labels=config["classes"],
    )
    print(
        f"{output}: prior {used}, strength {decision.tau:.3f}, temperature "
        f"{decision.temperature:.3f}{'' if calibration else ' (not calibrated)'}"
    )
    for difference, when in ((exact, "before"), (rounded, "after")):
        print(
            f"{output}: at most {difference['expression']:.1e} in probability and "
            f"{difference['pose']:.1e}° from torch {when} rounding its weights to bfloat16"
        )
    return output


def _last_chosen(calibration: dict | None) -> Prior:
    """The decision that `calibrate` has chosen last."""
    if calibration is None:
        return "data"
    return "strangers" if "strangers" in calibration["decisions"] else "balanced"


def _traced(graph: ExportedModel) -> onnx.ModelProto:
    with warnings.catch_warnings():
        # Deprecations inside torch's own exporter; nothing that a user of it can change.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            graph,
            (torch.from_numpy(_faces(2)),),
            input_names=["faces"],
            output_names=["expression", "pose"],
            dynamic_shapes={"faces": {0: "batch"}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "of dynamo"
    return program.model_proto


def compare(
    graph: ExportedModel, file: onnx.ModelProto, tolerance: dict[str, float]
) -> dict[str, float]:
    """Largest difference between ONNX and torch, by output; UserError where it is above
    `tolerance`, in the same units."""
    session = onnxruntime.InferenceSession(
        file.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    faces = _faces(64)
    with torch.no_grad():
        expected = graph(torch.from_numpy(faces))
    result = {}
    for name, theirs in zip(("expression", "pose"), expected, strict=True):
        (ours,) = session.run([name], {"faces": faces})
        result[name] = float(np.abs(ours - theirs.numpy()).max())
        if not result[name] < tolerance[name]:
            raise UserError(f"The exported {name} is off by {result[name]:.2e} from torch.")
    return result


def _licence(of_start: str) -> str:
    """What the weights may be used for."""
    data = "as the data they were learnt from allows; FER2013's pictures are for research"
    return f"{data}; started from weights under {of_start}" if of_start else data


def _source(config: dict) -> str:
    """What the weights were learnt from."""
    options, dataset = config["options"], _dataset(Path(config["fit"]["data"]))
    teachers = [Path(run).name for run in options.get("teacher", ())]
    taught = f", and from what these runs say of its faces: {', '.join(teachers)}"
    faces = options.get("faces") if options.get("gan") else None
    paired = f", and on faces of {_dataset(Path(faces))}" if faces else ""
    start = config.get("started_from")
    begun = f"started from {start}, learnt" if start else "learnt from scratch"
    return f"{begun} on {dataset}{paired}{taught if teachers else ''}"


def _dataset(prepared: Path) -> str:
    about = prepared / "prepared.json"
    fix = "prepare the data set again"
    return read_json(about, fix)["dataset"] if about.is_file() else prepared.name


def _decision_metadata(prior: Prior, decision: Decision, calibrated: bool) -> dict:
    """What stands between the logits and the probabilities of the file, see train.runs.decision."""
    return {
        "prior": prior,
        "calibrated": calibrated,
        "temperature": decision.temperature,
        "tau": decision.tau,
        "prior_shares": list(decision.prior),
        "offset": list(decision.offset),
    }


def _faces(count: int) -> np.ndarray:
    """Smooth random pictures: unlike noise, they are not averaged away at the input."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return np.repeat(np.repeat(coarse, FACE_SIZE // 7, axis=1), FACE_SIZE // 7, axis=2)


@dataclass(frozen=True)
class ExportFace:
    """The best epoch of a run as the ONNX file that the application runs."""

    run_folder: Annotated[Path, tyro.conf.arg(name="run")]
    """The run folder."""
    output: Path = MODELS / "ipd_fer.onnx"
    prior: Prior | None = None
    """The decision folded into the file: data as trained, balanced corrected for frequent classes,
    strangers with happiness raised too. By default the last of them that `calibrate` has chosen."""
    pose: Path | None = None
    """An exported file, of the same pose network, whose pose branch is better than the run's."""

    def run(self) -> None:
        export_run(self.run_folder, self.output, self.prior, self.pose)
