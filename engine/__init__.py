"""Runs ONNX models fast on the machine at hand: named arrays in, named arrays out."""

import os

# Read by ONNX Runtime when it is imported; it would tell its makers of its use.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
