"""Whose picture or video is next: visitors take turns, however much one of them has waiting."""

from __future__ import annotations

from itertools import count
from typing import Any

import gradio as gr

from realtime.web.callers import Caller, address_of


def take_turns(page: gr.Blocks) -> None:
    """Gradio's queue gives out what came first; from here on, of what waits, that of the address
    whose turn is longest ago, and of that address, that of such a session."""
    queue: Any = page._queue
    take = queue.get_events
    turns = count(1)
    addresses: dict[str, int] = {}
    callers: dict[Caller, int] = {}

    def due(event) -> tuple[int, int]:
        caller = _caller(event)
        return addresses.get(caller.address, 0), callers.get(caller, 0)

    def get_events():
        lines = [line.queue for line in queue.event_queue_per_concurrency_id.values()]
        for line in filter(None, lines):
            first = min(line, key=due)  # of equals, the one that came first
            line.remove(first)
            line.insert(0, first)
        found = take()
        if found:
            caller, turn = _caller(found[0][0]), next(turns)
            addresses[caller.address] = callers[caller] = turn
            # Who waits for nothing more begins anew.
            waiting = {caller} | {_caller(event) for line in lines for event in line}
            _keep(callers, waiting)
            _keep(addresses, {caller.address for caller in waiting})
        return found

    queue.get_events = get_events


def _caller(event) -> Caller:
    client = event.request.client
    return Caller(address_of(client and client.host), event.session_hash)


def _keep(known: dict, wanted: set) -> None:
    for key in known.keys() - wanted:
        del known[key]
