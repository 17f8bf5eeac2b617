"""The page as a whole: its look, its scripts and its four tabs."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from realtime.web.networks import Networks
from realtime.web.streams import Streams
from realtime.web.tabs import live_tab, model_tab, picture_tab, video_tab
from realtime.web.visitors import Visitors

ASSETS = Path(__file__).parent / "assets"

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_MONO = ["ui-monospace", "Menlo", "Consolas", "monospace"]
# Fonts by name only: those that themes bring would be fetched from another server.
_BASE = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", font=_SANS, font_mono=_MONO)
# Darker than the theme's own, whose labels and help texts are too pale to read on white.
THEME = _BASE.set(
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_label_text_color="*primary_800",
    block_label_text_color_dark="*primary_200",
    block_title_text_color="*primary_800",
    block_title_text_color_dark="*primary_200",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
)

HEAD = (
    "<h1>Facial expression and head pose</h1><p>Pictures go to the server that gave you this page "
    "and no further, and are deleted when you leave. A label says what a picture looks like, not "
    "what a person feels.</p>"
)

HOUR = 3600


def build(networks: Networks, streams: Streams, visitors: Visitors) -> gr.Blocks:
    """The page, ready to be launched with :func:`look`."""
    # Files go when their visitor leaves; a client that never says so keeps them for an hour.
    with gr.Blocks(
        title="Facial expression and head pose", analytics_enabled=False, delete_cache=(600, HOUR)
    ) as page:
        gr.HTML(HEAD, elem_classes="page-head")
        # Gradio's menu for tabs that do not fit also takes some that would, on a phone.
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Live"):
                live_tab(streams)
            with gr.Tab("Picture"):
                picture_tab(networks, visitors)
            with gr.Tab("Video"):
                video_tab(networks, visitors)
            with gr.Tab("Model"):
                model_tab(networks)

        def leave(request: gr.Request) -> None:
            visitors.leave(request.session_hash)

        page.unload(leave)
    return page


def look() -> dict:
    """Theme, style and scripts, as gr.Blocks.launch takes them."""
    names = ("plot.js", "neutral.js", "live.js", "timeline.js")
    code = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)
    head = f"<script>\n{code}</script>"
    return {"theme": THEME, "css_paths": ASSETS / "style.css", "head": head}
