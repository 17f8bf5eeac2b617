"""The clip that ships, for those who have no camera at hand and for all that measures.

Made by tests/make_demo_clip.py from scikit-image's astronaut, a NASA photograph in the public
domain.
"""

from pathlib import Path

CLIP = Path(__file__).resolve().parent / "astronaut.mp4"
"""Ten seconds of one face that moves, turns, comes closer, leaves and comes back; H.264,
640×480, 25 frames a second."""
