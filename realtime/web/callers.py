"""Who asks, and what is a fair share of something that all of them want."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """address: see :func:`address_of`. session: Gradio's, which a client chooses for itself."""

    address: str = ""
    session: str = ""


def address_of(host: str | None) -> str:
    """The address that stands for one visitor; of IPv6 the first 64 bits, which one house has."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def who_gives_up(holders: Iterable[Caller], asking: Caller) -> Caller | None:
    """Which of the holders of all places has to give up one for `asking`; None where nobody has.

    Who holds at least two more than the one who asks gives one up, so that places go round and
    not back and forth. Addresses are compared first, then the sessions of one address.
    """
    holders = list(holders)
    addresses = Counter(holder.address for holder in holders)
    sessions = Counter(holders)
    for heaviest, count in addresses.most_common(1):
        if count >= addresses[asking.address] + 2:
            return _heaviest(sessions, heaviest)
    own = _heaviest(sessions, asking.address)
    return own if own and sessions[own] >= sessions[asking] + 2 else None


def _heaviest(sessions: Counter[Caller], address: str) -> Caller | None:
    """The session of an address that holds the most."""
    own = [caller for caller in sessions if caller.address == address]
    return max(own, key=sessions.__getitem__, default=None)
