"""Many videos: one Parquet file each, in processes of this machine or on a Ray cluster.

- `corpus`: which videos, and where the file of each goes. `table`: what such a file holds.
- `job`: what there is to do and what came of it, as it goes from process to process. `reader`: does
  it, with one pipeline in one thread. `parts`: a long video cut into parts, and put together.
- `worker`: the process that does jobs. `pool`: several of them here. `cluster`: the same on Ray.
- `run`: all videos, what is there already left out. `command`: `python -m realtime videos`.
- `summary`: over all files, with `plot`: `python -m realtime summary`.
"""
