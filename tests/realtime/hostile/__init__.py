"""``python -m tests.realtime.hostile``: what a stranger might send, and what it costs."""
