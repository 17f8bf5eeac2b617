"""Where the repository and its recorded clip are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CLIP = ROOT / "tests/data/astronaut.mp4"
