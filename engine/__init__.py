"""Runs ONNX models fast on the machine at hand: named arrays in, named arrays out."""
