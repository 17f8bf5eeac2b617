"""Reads frames, finds, aligns and follows faces, runs the engine, smooths, draws and records."""
