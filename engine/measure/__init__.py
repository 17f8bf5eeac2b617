"""Measures the engine: how fast each way runs (``benchmark``, ``bench_report``, against PyTorch in
``reference``), and how close it comes to ONNX Runtime in fp32 on real faces (``check``)."""
