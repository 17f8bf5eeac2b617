"""The order in which what waits is worked on."""

from types import SimpleNamespace

from realtime.web.turns import take_turns


def event(address, session, number):
    request = SimpleNamespace(client=SimpleNamespace(host=address))
    return SimpleNamespace(request=request, session_hash=session, number=number)


def order(*waiting):
    """The numbers in the order in which the queue gives them out."""
    line = SimpleNamespace(queue=[event(*what) for what in waiting])
    queue = SimpleNamespace(event_queue_per_concurrency_id={"picture": line})
    queue.get_events = lambda: ([line.queue.pop(0)], False, "picture") if line.queue else None
    take_turns(SimpleNamespace(_queue=queue))
    found = []
    while events := queue.get_events():
        found.append(events[0][0].number)
    return found


def test_one_who_has_much_waiting_does_not_hold_up_the_others():
    flood = [("192.0.2.1", "a", number) for number in range(20)]
    assert order(*flood, ("192.0.2.2", "b", 20), ("192.0.2.3", "c", 21))[:4] == [0, 20, 21, 1]


def test_other_sessions_do_not_help_against_other_addresses():
    flood = [("192.0.2.1", str(number), number) for number in range(20)]
    assert order(*flood, ("192.0.2.2", "b", 20))[:2] == [0, 20]


def test_sessions_of_one_address_take_turns():
    flood = [("192.0.2.1", "a", number) for number in range(20)]
    assert order(*flood, ("192.0.2.1", "b", 20))[:3] == [0, 20, 1]


def test_what_comes_first_of_one_visitor_is_first():
    assert order(*(("192.0.2.1", "a", number) for number in range(5))) == [0, 1, 2, 3, 4]


def test_the_queue_of_the_page_has_what_this_needs(server):
    queue = server.page._queue
    assert queue.get_events.__module__ == "realtime.web.turns"
    assert all(line.queue == [] for line in queue.event_queue_per_concurrency_id.values())
    assert queue.get_events() is None
