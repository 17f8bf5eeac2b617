"""Reads frames, finds, aligns and follows faces, runs the engine, smooths, draws and records.

A frame's way, room by room, from the ground floor up; an import goes only down:

- `faces`: Face, HeadPose and EXPRESSIONS, which every other room takes and gives. `align`: the crop
  that the network sees, the same as in training. `timing`: how long each stage takes. `ahead`: the
  threads that read ahead and write behind.
- `sources/`: cameras, videos, streams and pictures as one iterator of frames. `smooth`: steady
  while a face is still, quick when it changes. `reference`: a face read against its person's own
  rest, with `capture` and `number_file`.
- `detection/`: MTCNN finds faces, the finder and the tracker follow them.
- `recognise`: the expression network on aligned faces. `neutral`: whose rest is known. `output/`:
  overlay, window, video, records.
- `pipeline`: a frame in, faces out.
- `run`: frames through the pipeline, onto the screen and into the files.
- `measure/`: `bench`, `soak`, `still`, and what a reference of the resting face gains. `web/`: the
  page behind gradio_app.py.
- `__main__`: ``python -m realtime``, the command line.
"""
