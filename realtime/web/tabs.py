"""The four tabs: what stands on them, and what happens when something is pressed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from engine.contract import EngineError
from realtime.faces import EXPRESSIONS
from realtime.number_file import ReferenceFileError
from realtime.output.files import SinkError
from realtime.output.overlay import AXIS_COLORS, COLORS
from realtime.web import checks, model
from realtime.web.callers import Caller, address_of
from realtime.web.networks import Networks
from realtime.web.picture import COLUMNS, recognise_picture
from realtime.web.streams import Streams
from realtime.web.video import Cancelled, recognise_video
from realtime.web.visitors import Visitors

ASSETS = Path(__file__).parent / "assets"
EXAMPLES = Path(__file__).parent / "examples"
EXAMPLE_PICTURES = {"one.jpg": "one face", "two.jpg": "two faces"}

_PITCH, _YAW, _ROLL = AXIS_COLORS  # the head turns about x, y and z
LINES: dict[str, Any] = {
    "expressions": [{"name": name, "color": f"rgb{COLORS[name]}"} for name in EXPRESSIONS],
    "angles": [
        {"name": name, "color": f"rgb{color}"}
        for name, color in (("yaw", _YAW), ("pitch", _PITCH), ("roll", _ROLL))
    ],
}
"""What the plots show, in the order of a sample, and in which colours."""

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""For what happens at once and is no part of the API."""


RELOAD = "The page and the server do not fit together. Reload the page."


def live_tab(streams: Streams) -> None:
    async def open_stream(before: str | None, request: gr.Request) -> dict:
        """before: the key of the stream that this one comes after, whose place is free then."""
        await asyncio.to_thread(streams.close, str(before))
        key = await streams.open_in_thread(await caller_of(request))
        places = "The one place is" if streams.limit == 1 else f"All {streams.limit} places are"
        wait = f"{places} taken. Please wait: it starts by itself when one is free."
        return {"key": key, "message": None if key else wait}

    async def frame(sent: dict, request: gr.Request) -> dict:
        try:
            key, number = str(sent["key"]), int(sent["number"])
            picture, mirror = str(sent["image"]), bool(sent["mirror"])
            answer = await streams.frame_in_thread(key, number, mirror, picture, _address(request))
        except (TypeError, KeyError, ValueError):
            return {"error": RELOAD}
        except (checks.Refused, EngineError) as error:
            return {"error": str(error)}
        return {"over": True} if answer is None else answer

    def close_stream(key: str) -> None:
        streams.close(str(key))

    async def neutral_face(sent: dict) -> dict:
        try:
            await asyncio.to_thread(streams.capture, str(sent["key"]), bool(sent["begin"]))
        except (TypeError, KeyError):
            return {"error": RELOAD}
        except ReferenceFileError as error:
            return {"error": str(error)}
        return {}

    gr.HTML(
        html_template=(ASSETS / "live.html").read_text(encoding="utf-8"),
        js_on_load="window.liveTab(element, props, server);",
        server_functions=[open_stream, frame, close_stream, neutral_face],
        apply_default_css=False,
        **LINES,
    )


async def caller_of(request: gr.Request) -> Caller:
    """Who calls one of the functions of the live tab."""
    try:
        session = str((await request.json())["session_hash"])
    except (RuntimeError, ValueError):  # not sent as JSON: nothing that the page does
        session = ""
    return Caller(_address(request), session)


def _address(request: gr.Request) -> str:
    return address_of(request.client and request.client.host)


def picture_tab(networks: Networks, visitors: Visitors) -> None:
    gr.Markdown(
        "Upload, drop or paste a picture. Faces from about 40 pixels are found; at most "
        f"{checks.PICTURE_PIXELS // 1_000_000} million pixels are taken. Above "
        f"{checks.SHOWN_PIXELS // 1_000_000} million the picture is made smaller first."
    )
    with gr.Row():
        with gr.Column():
            given = gr.Image(
                label="Picture",
                sources=["upload", "clipboard"],
                alt_text="The picture you gave",
                elem_id="picture-input",
                height=380,
                buttons=["fullscreen"],
            )
            _hand_on_as_it_came(given)
            _fetch_nothing(given)
            examples = gr.Gallery(
                [(str(EXAMPLES / name), text) for name, text in EXAMPLE_PICTURES.items()],
                label="Examples: press one (NASA, public domain)",
                elem_id="picture-examples",
                elem_classes="thumbnails",
                height="auto",
                allow_preview=False,
                interactive=False,
                buttons=[],
            )
        with gr.Column():
            annotated = gr.Image(
                label="Faces",
                interactive=False,
                alt_text="The picture with every face marked",
                elem_id="picture-annotated",
                height=380,
                buttons=["download", "fullscreen"],
            )
            record = gr.DownloadButton("Download JSON", interactive=False, elem_id="picture-json")
    table = gr.Dataframe(
        headers=list(COLUMNS),
        label="All faces: degrees as seen in the picture, box in pixels",
        interactive=False,
        elem_id="picture-table",
    )
    crops = gr.Gallery(
        label="Aligned faces: what the network is given, twice as large",
        height="auto",
        elem_id="picture-crops",
        elem_classes="thumbnails",
        interactive=False,
        buttons=["download"],
    )

    def recognise(picture: str | None, request: gr.Request):
        if picture is None:
            return None, None, None, None
        visitors.uploaded(request.session_hash, Path(picture), _address(request))
        with _told(), visitors.visitor(request.session_hash, _address(request)).results() as folder:
            result = recognise_picture(Path(picture), networks, folder)
        if not result.rows:
            gr.Info("No face was found. Faces need about 40 pixels.")
        return str(result.annotated), result.rows, result.crops, str(result.record)

    def example(chosen: gr.SelectData) -> str:
        return chosen.value["image"]["path"]

    def recognise_when(event, **options) -> None:
        outputs = [annotated, table, crops, record]
        concurrency: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "picture"}
        # Pasting empties the picture first, and then gives it: the second of the two must not be
        # dropped because the first is still on its way.
        options |= concurrency | {"trigger_mode": "always_last"}
        done = event(recognise, given, outputs, show_progress_on=annotated, **options)
        done.success(lambda picture: _pressable(picture is not None), given, record, **QUIET)

    recognise_when(given.input, api_name="picture")
    chosen = examples.select(example, None, given, **QUIET)
    recognise_when(chosen.then, api_visibility="private")


def video_tab(networks: Networks, visitors: Visitors) -> None:
    gr.Markdown(
        f"At most {checks.VIDEO_SECONDS // 60} minutes, {checks.FILE_MEGABYTES} MB and 4K. "
        "Above Full HD it is made smaller. The result has no sound. One is done at a time, for "
        f"{checks.VIDEO_WORK // 60} minutes at most; what takes longer breaks off there."
    )
    with gr.Row():
        with gr.Column(scale=1):
            given = gr.File(label="Video", file_types=["video"], elem_id="video-input")
            _hand_on_as_it_came(given)
            _fetch_nothing(given)
            with gr.Row():
                start = gr.Button(
                    "Start", variant="primary", interactive=False, elem_id="video-start"
                )
                cancel = gr.Button(
                    "Cancel", variant="stop", interactive=False, elem_id="video-cancel"
                )
            status = gr.Markdown("Choose a video.", elem_id="video-status")
            with gr.Row():
                csv = gr.DownloadButton("CSV", interactive=False, elem_id="video-csv")
                jsonl = gr.DownloadButton("JSONL", interactive=False, elem_id="video-jsonl")
        annotated = gr.Video(
            label="Annotated video",
            interactive=False,
            elem_id="annotated-video",
            height=420,
            scale=2,
            buttons=["download"],
        )
    timeline = gr.HTML(
        html_template=(ASSETS / "timeline.html").read_text(encoding="utf-8"),
        js_on_load="window.timeline(element, props, watch);",
        elem_id="video-timeline",
        apply_default_css=False,
        **LINES,
    )
    summary = gr.Markdown(elem_id="video-summary")

    def chosen(path: str | None, request: gr.Request):
        if path:
            visitors.uploaded(request.session_hash, Path(path), _address(request))
        return _pressable(bool(path)), "Press Start." if path else "Choose a video."

    def recognise(path: str | None, request: gr.Request, progress=gr.Progress()):
        if path is None:
            raise gr.Error("Choose a video first.", duration=None, print_exception=False)
        visitors.uploaded(request.session_hash, Path(path), _address(request))
        visitor = visitors.visitor(request.session_hash, _address(request))
        stop = visitor.new_job()
        progress(0, "Opening the video")
        with _told(), visitor.results() as folder:
            result = recognise_video(
                Path(path),
                networks,
                folder,
                lambda done, total: progress((done, total), unit="frames"),
                stop,
            )
        if result.trouble:
            gr.Warning(result.trouble, duration=None)
        return (
            str(result.annotated),
            result.timeline,
            f"```\n{result.summary}\n```",
            f"Done: {result.frames} frames.",
            str(result.csv),
            str(result.jsonl),
        )

    def cancelled(request: gr.Request) -> str:
        visitors.visitor(request.session_hash, _address(request)).stop()
        return "Cancelled. Nothing was kept."

    def buttons(running: bool):
        return lambda: (_pressable(not running), _pressable(running))

    given.change(chosen, given, [start, status], **QUIET)
    start.click(buttons(True), None, [start, cancel], **QUIET)
    run = start.click(
        recognise,
        given,
        [annotated, timeline, summary, status, csv, jsonl],
        api_name="video",
        concurrency_limit=1,
        show_progress_on=annotated,
    )
    run.success(lambda: [_pressable(True)] * 2, None, [csv, jsonl], **QUIET)
    run.then(buttons(False), None, [start, cancel], **QUIET)
    stopped = cancel.click(cancelled, None, status, cancels=run, **QUIET)
    stopped.then(buttons(False), None, [start, cancel], **QUIET)


def model_tab(networks: Networks) -> None:
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in model.facts(networks)
    )
    gr.HTML(f"<table>{rows}</table>", elem_id="model-facts", apply_default_css=False)
    measure = gr.Button("Measure its speed on this server", variant="primary")
    table = gr.Dataframe(
        headers=list(model.TIMING_COLUMNS),
        label="Milliseconds a call and faces a second, the network alone",
        interactive=False,
        elem_id="model-timings",
    )
    measure.click(
        lambda: model.timings(networks), None, table, concurrency_limit=1, api_visibility="private"
    )
    gr.Markdown(model.CARD.read_text(encoding="utf-8"), elem_id="model-card")


def _hand_on_as_it_came(component: gr.Image | gr.File) -> None:
    """Gives the path of the uploaded file to our own readers, which say what is wrong with it;
    Gradio would decode pictures of any size and leave an empty file behind for each video."""
    component.preprocess = lambda payload: payload and payload.path  # type: ignore[method-assign]


def _fetch_nothing(component: gr.Image | gr.File) -> None:
    """Takes what was uploaded alone; Gradio would fetch any address that a client names, of any
    size, and ask a name server abroad about it."""
    keep = component.async_move_resource_to_block_cache

    async def move(url_or_file_path: str | Path | None) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("Upload the file; addresses are not fetched.", print_exception=False)
        return await keep(url_or_file_path)

    component.async_move_resource_to_block_cache = move  # type: ignore[method-assign]


def _pressable(yes: bool) -> dict:
    """The change that lets a button be pressed, or not."""
    return gr.update(interactive=yes)


@contextmanager
def _told() -> Iterator[None]:
    """What a visitor can do something about is shown on the page until it is closed."""
    try:
        yield
    except Cancelled:
        raise gr.Error("Cancelled.", print_exception=False) from None
    except (checks.Refused, EngineError, SinkError) as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from None
