"""Writes the ONNX files that the engine runs, and lists them in models.json."""
