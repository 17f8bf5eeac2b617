"""Who is one visitor, and who gives up a place for another."""

import pytest

from realtime.web.callers import Caller, address_of, who_gives_up


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_address(host, address):
    assert address_of(host) == address


@pytest.mark.parametrize(
    ("holders", "asking", "gives"),
    [
        ("a1 a2 a3 a3", "b1", "a3"),
        ("a1 a1 a1 b1", "b2", "a1"),
        ("a1 a2 a3 b1", "c1", "a1"),
        ("a1 a1 b1 b1", "b2", "b1"),
        ("a1 a1 b1", "b2", None),
        ("a1 a2 b1 b2", "a1", None),
        ("a1", "b1", None),
        ("a1 b1 c1 d1", "e1", None),
        ("", "a1", None),
    ],
)
def test_who_holds_two_more_gives_one_up(holders, asking, gives):
    callers = [Caller(*name) for name in holders.split()]
    given = who_gives_up(callers, Caller(*asking))
    assert given == (Caller(*gives) if gives else None)
