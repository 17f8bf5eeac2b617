"""How much of the processor each address may take while others want it too."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

MEMORY = 1.0
"""Seconds after which work done weighs only a third of what it did."""

USUAL = 1.1
"""An address may always take this many times what the one takes that takes least."""

ACTIVE = 0.001
"""An address that takes less of a processor than this wants nothing at the moment."""

SHORTEST, LOOK = 0.001, 0.1
"""Seconds that one who waits sleeps before looking again whether others are still there."""

REFUSALS = 10
"""Refusals of an address that are answered in a second, for each costs a little."""

REFUSAL_SIZE = 256 << 10
"""Characters of a refused frame from which on it counts as several."""


class Shares:
    """Lets the addresses work side by side. Its coroutines are for one event loop.

    An address alone on the server is never slowed. While others are active it is worked for once
    at a time, and not before what it took lately, in processor time, is down to its fair share:
    its part of `processors`, or USUAL times what the most modest of the others takes, whichever
    is more. So it does not matter in how many streams, how large frames or how many new streams
    the work comes.
    """

    def __init__(
        self,
        processors: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable] = asyncio.sleep,
    ):
        self._processors, self._clock, self._sleep = processors, clock, sleep
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Begins when this address may be worked for."""
        account = self._account(address)
        async with account.held(), account.order:
            await self._wait(address, account)
            account.begin()
        try:
            yield
        finally:
            account.end()

    def used(self, address: str, seconds: float) -> None:
        """Notes that so much processor time went into work for an address; any thread."""
        account = self._account(address)
        with self._lock:
            account.taken = account.lately(now := self._clock()) + seconds / MEMORY
            account.at = now

    async def refuse(self, address: str, size: int = 0) -> None:
        """Waits before a refusal is answered. size: characters of what is refused."""
        account = self._account(address)
        async with account.held():
            await account.refusals.next(max(1.0, size / REFUSAL_SIZE))

    async def _wait(self, address: str, account: _Account) -> None:
        while others := self._others(address):
            if account.working:
                await account.idle.wait()
                continue
            pause = account.until(self._share(others), self._clock())
            if pause <= 0:
                return
            await self._sleep(min(max(pause, SHORTEST), LOOK))

    def _others(self, address: str) -> list[float]:
        """What the other active addresses took lately, in processors."""
        now = self._clock()
        with self._lock:
            self._accounts = {
                name: account
                for name, account in self._accounts.items()
                if name == address or account.wanting or account.lately(now) >= ACTIVE
            }
            others = (account for name, account in self._accounts.items() if name != address)
            return [account.lately(now) for account in others]

    def _share(self, others: list[float]) -> float:
        return max(self._processors / (len(others) + 1), USUAL * min(others))

    def _account(self, address: str) -> _Account:
        with self._lock:
            if address not in self._accounts:
                self._accounts[address] = _Account(self._clock, self._sleep)
            return self._accounts[address]


class Pace:
    """Lets what waits go on one after the other, `rate` a second; for an event loop."""

    def __init__(self, rate: float, clock=time.monotonic, sleep=asyncio.sleep):
        self._gap, self._clock, self._sleep = 1 / rate, clock, sleep
        self._next = 0.0

    async def next(self, weight: float = 1.0) -> None:
        now = self._clock()
        self._next = max(now, self._next + self._gap * weight)
        if self._next > now:
            await self._sleep(self._next - now)


class _Account:
    """taken: in processors, as it was at the time `at`."""

    def __init__(self, clock, sleep):
        self.taken, self.at = 0.0, clock()
        self.working = self._holding = 0
        self.order, self.idle = asyncio.Lock(), asyncio.Event()
        self.refusals = Pace(REFUSALS, clock, sleep)

    @property
    def wanting(self) -> bool:
        return bool(self.working or self._holding)

    def lately(self, now: float) -> float:
        return self.taken * math.exp((self.at - now) / MEMORY)

    def until(self, share: float, now: float) -> float:
        """Seconds until what was taken is down to the share."""
        lately = self.lately(now)
        return MEMORY * math.log(lately / share) if lately > share else 0.0

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Not forgotten meanwhile."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    def begin(self) -> None:
        self.working += 1
        self.idle.clear()

    def end(self) -> None:
        self.working -= 1
        if not self.working:
            self.idle.set()
