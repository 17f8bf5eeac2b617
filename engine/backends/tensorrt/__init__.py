"""All of TensorRT: what is known of it beforehand, and its way in.

``command`` builds plans ahead. ``backend`` runs one: ``plans`` keeps it, ``build`` makes it out of
what ``plan_graph`` gives, ``plan_layers`` reads it back, ``device_memory`` holds the buffers.
"""

from __future__ import annotations

from engine.contract import Backend, BackendInfo, Int8Flavour, Options, Way
from engine.model_file import ModelFile

INFO = BackendInfo(
    title="TensorRT",
    modules=("tensorrt", "tensorrt_rtx"),
    install='pip install ".[tensorrt]"',
    ways=(Way("cuda", "fp16", 10), Way("cuda", "fp32", 20)),
    converts=("fp32", "fp16"),
    int8=Int8Flavour(
        name="tensorrt",
        suffix=".trt-int8.onnx",
        kind="INT8 for TensorRT (S8S8 QDQ, symmetric)",
        symmetric=True,
    ),
)


def load(model: ModelFile, options: Options) -> Backend:
    """The loaded model; a plan is built first where the cache has none and `options` allow it.

    EngineError, in one line that tells the fix, where there is no driver, no TensorRT or no plan.
    """
    from engine.backends.tensorrt.backend import TensorRtBackend

    return TensorRtBackend(model, options)
