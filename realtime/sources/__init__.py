"""Cameras, videos, streams and pictures, each as one iterator of frames.

`open` opens them all; what a source gives is in `frame`, the loop for live ones in `live`.
`containers` and `picture_cost` say what a file may be and cost, `isolated` has a stranger's video
decoded by a process of its own.
"""
