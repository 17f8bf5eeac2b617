"""Learns expression and pose branches from labelled faces and writes them as ONNX."""

import os

# Read by ONNX Runtime when it is imported; it would tell its makers of its use.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
