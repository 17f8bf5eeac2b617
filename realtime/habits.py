"""What people who come from other programs try first, and what does that here."""

from __future__ import annotations

ARGUMENTS = {
    "stream": "leave it out, for results always come one by one",
    "vid_stride": "every=N takes one frame of N",
    "conf": "the face detector has thresholds of its own; choose by face.score",
    "imgsz": "frames keep their size; min_face=… makes it faster",
    "classes": "choose by face.label",
    "max_det": "FaceReader(max_faces=…)",
    "device": "FaceReader(device=…)",
    "half": 'FaceReader(precision="fp16")',
    "verbose": "set the level of the logger “realtime”",
    "show": "show result.plot(), or run `python -m realtime --source …`",
    "save": "write result.plot(), or run `python -m realtime --source … --output out.mp4`",
    "save_txt": "write result.to_dict(), or run `python -m realtime --source … --jsonl out.jsonl`",
    "colour": 'FaceReader(colour="bgr")',
    "smoothing": "FaceReader(smoothing=…)",
}
"""Arguments of a call."""

OF_READERS = {
    "predict": "reader(source)",
    "track": "reader(source), for faces always keep their ids",
    "names": "realtime.EXPRESSIONS",
    "to": "FaceReader(device=…)",
    "device": "reader.engines",
}
"""Attributes of a reader."""

OF_RESULTS = {
    "boxes": "each of result.faces has its box",
    "keypoints": "each of result.faces has its landmarks",
    "probs": "each of result.faces has its probabilities",
    "names": "realtime.EXPRESSIONS",
    "orig_img": "result.image",
    "orig_shape": "result.image.shape[:2]",
    "path": "result.source",
    "save": "PIL.Image.fromarray(result.plot()).save(…) of an RGB picture",
    "show": "PIL.Image.fromarray(result.plot()).show() of an RGB picture",
    "tojson": "json.dumps(result.to_dict())",
    "to_json": "json.dumps(result.to_dict())",
}
"""Attributes of a result."""

OPTIONS = {
    "--conf": "The face detector has thresholds of its own; choose by the score in the records.",
    "--imgsz": "Frames keep their size; --min-face makes it faster.",
    "--half": "Say --precision fp16.",
    "--max-det": "Say --max-faces.",
    "--save": "Say where: --output out.mp4.",
    "--save-txt": "Say where: --jsonl out.jsonl or --csv out.csv.",
    "--show": "The window opens by itself; --no-display leaves it out.",
    "--stream": "Leave it out: frames are always done one by one.",
    "--verbose": "Say --log-level info.",
    "--vid-stride": "Say --every.",
}
"""Options of a command line."""


def unknown_arguments(names: list[str]) -> TypeError:
    """What to raise where a call has arguments that it does not take."""
    name = names[0]
    hint = f": {ARGUMENTS[name]}" if name in ARGUMENTS else ""
    return TypeError(f"There is no argument {name}{hint}.")


def unknown_attribute(thing: str, name: str, hints: dict[str, str]) -> AttributeError:
    """What to raise where a reader or result is asked for what it has not."""
    hint = f": {hints[name]}" if name in hints else ""
    return AttributeError(f"A {thing} has no {name}{hint}.")


def unknown_option(arguments: list[str]) -> str | None:
    """What to say of the first argument of a command line that is another program's option, or of
    its form name=value; None where there is none."""
    for argument in arguments:
        name = argument.partition("=")[0]
        option = name.replace("_", "-")
        if option in OPTIONS:
            return f"There is no option {name}. {OPTIONS[option]}"
        if name.isidentifier() and name in ("source", "model", "device") and "=" in argument:
            return f"Options begin with two dashes: --{name} {argument.partition('=')[2]}."
    return None
