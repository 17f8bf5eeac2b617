"""The window on the screen and its keys."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np

HELP = "q quit   s save picture   r record   n neutral face   p pose   i age   h help"


def display_problem() -> str | None:
    """Why no window can be opened here, or None if one can."""
    if sys.platform.startswith("linux"):
        # Without a display server Qt ends the whole program instead of raising an error.
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return "There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)."
    return None


def _give_qt_a_font_folder() -> None:
    """OpenCV names a folder that its package lacks, about which Qt complains on the console."""
    system = Path("/usr/share/fonts")
    folder = system if system.is_dir() else Path(cv2.__file__).parent
    os.environ["QT_QPA_FONTDIR"] = str(folder)


class Window:
    """Shows frames under a title; a context manager that closes the window."""

    def __init__(self, title: str):
        self._title = title
        _give_qt_a_font_folder()
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._sized = False

    def show(self, image: np.ndarray, wait: float = 0.0) -> str:
        """Show an image (uint8 H×W×3, RGB) and wait up to `wait` seconds for a key.

        Returns the key pressed, "" for none, "q" once the window was closed with the mouse.
        """
        if not self._sized:
            cv2.resizeWindow(self._title, min(1280, image.shape[1]), min(720, image.shape[0]))
            self._sized = True
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(max(1, int(wait * 1000)))
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return chr(key & 0xFF) if key >= 0 else ""

    def close(self) -> None:
        cv2.destroyWindow(self._title)

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
