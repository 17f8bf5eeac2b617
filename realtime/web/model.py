"""What is loaded, and how fast it runs here."""

from __future__ import annotations

from engine.measure.benchmark import measure, random_inputs, session_runner
from engine.registry import MODELS, listed
from realtime.web.networks import Networks

CARD = MODELS / "MODEL_CARD.md"

BATCHES = (1, 2, 4, 8, 16)
REPEATS = 30

TIMING_COLUMNS = ("faces at once", "median ms", "95 % within ms", "faces a second")


def facts(networks: Networks) -> list[tuple[str, str]]:
    """Name and value of what there is to know about the model in use."""
    session = networks.session
    entry = listed(session.path)
    return [
        ("Model", session.path.name),
        ("SHA-256", session.sha256),
        ("Runs with", session.description),
        ("Precision", session.precision),
        ("Face detector", f"MTCNN, {networks.detector_description}"),
        ("Made by", entry.made_by if entry else "unknown"),
        ("Licence", entry.licence if entry else "unknown"),
    ]


def timings(networks: Networks) -> list[list]:
    """The engine's benchmark of the session in use: rows under :data:`TIMING_COLUMNS`."""
    session = networks.session
    inputs = random_inputs(session.inputs, BATCHES)
    rows = measure({session.precision: session_runner(session)}, inputs, REPEATS)
    return [
        [row.batch, round(row.median_ms, 1), round(row.p95_ms, 1), round(row.images_per_second)]
        for row in rows
    ]
