"""Where the repository and its recorded clip are, and what lies in a folder."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CLIP = ROOT / "realtime/clips/astronaut.mp4"


def below(folder: Path) -> set[Path]:
    """All files and folders in it. Unlike rglob, it does not mind one that goes meanwhile."""
    return {Path(at, name) for at, *names in os.walk(folder) for name in (*names[0], *names[1])}
