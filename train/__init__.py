"""Learns expression and pose branches from labelled faces and writes them as ONNX."""
