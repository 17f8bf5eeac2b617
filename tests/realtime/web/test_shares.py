"""Addresses side by side, on a clock of the test's own: nothing waits in real time."""

import asyncio
import heapq
from collections import Counter
from itertools import count

import pytest

from realtime.web.shares import REFUSALS, Pace, Shares
from tests.realtime.web.loops import finished

FLOOD, CAMERA = "198.51.100.1", "198.51.100.2"


class Clock:
    """Time that goes on when everybody sleeps."""

    def __init__(self):
        self.now, self._sleepers, self._order = 0.0, [], count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        await woken

    def play(self, seconds: float, *clients) -> None:
        """Runs the coroutines for so long."""
        finished(self._play(seconds, clients))

    async def _play(self, seconds: float, clients) -> None:
        tasks = [asyncio.ensure_future(client) for client in clients]
        while True:
            for _ in range(20):  # until all that can go on has done so
                await asyncio.sleep(0)
            if not self._sleepers or self._sleepers[0][0] > seconds:
                break
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shares(clock):
    return Shares(1.0, clock, clock.sleep)


class Work:
    """Counts what each address gets; at_once: the most of the flood's at the same time."""

    def __init__(self, clock, shares):
        self.done, self.seconds, self.delays = Counter(), Counter(), []
        self.at_once = self._now = 0
        self._clock, self._shares = clock, shares

    async def frame(self, address: str, cost: float) -> None:
        asked = self._clock.now
        async with self._shares.turn(address):
            self._now += address == FLOOD
            self.at_once = max(self.at_once, self._now)
            await self._clock.sleep(cost)
            self._now -= address == FLOOD
        self._shares.used(address, cost)
        self.done[address] += 1
        self.seconds[address] += cost
        if address == CAMERA:
            self.delays.append(self._clock.now - asked)

    async def flood(self, cost: float) -> None:
        while True:
            await self.frame(FLOOD, cost)

    async def camera(self, cost: float = 0.01) -> None:
        while True:
            await self.frame(CAMERA, cost)
            await self._clock.sleep(0.03)


@pytest.mark.parametrize(
    ("streams", "cost"), [(1, 0.08), (3, 0.02), (30, 0.08)], ids=["large", "several", "both"]
)
def test_who_floods_takes_no_more_than_a_fair_share(clock, shares, streams, cost):
    work = Work(clock, shares)
    clock.play(20, work.camera(), *[work.flood(cost) for _ in range(streams)])
    assert work.at_once == 1
    assert 0.4 * 20 < work.seconds[FLOOD] < 0.6 * 20
    assert work.done[CAMERA] > 20 * 24 and max(work.delays) < 0.011


def test_an_address_alone_is_not_slowed_down(clock, shares):
    work = Work(clock, shares)
    clock.play(20, *[work.flood(0.08) for _ in range(3)])
    assert work.at_once == 3 and work.done[FLOOD] >= 3 * 20 / 0.08 - 6


def test_it_goes_on_when_the_other_is_gone(clock, shares):
    work = Work(clock, shares)
    shares.used(CAMERA, 0.3)
    clock.play(20, *[work.flood(0.08) for _ in range(3)])
    assert work.at_once == 3 and work.done[FLOOD] > 3 * 15 / 0.08


def test_those_who_take_the_same_are_not_slowed_down(clock, shares):
    """Though together they take more than streams shall."""

    async def camera(name):
        while True:
            await work.frame(name, 0.02)
            await clock.sleep(0.02)

    work = Work(clock, shares)
    names = [f"198.51.100.{number}" for number in range(10, 16)]
    clock.play(20, *map(camera, names))
    assert min(work.done[name] for name in names) > 20 * 24


def test_refusals_are_counted_by_address_and_weighed(clock, shares):
    answered = Counter()

    async def ask(address, size):
        while True:
            await shares.refuse(address, size)
            answered[address] += 1

    clock.play(10, *[ask(FLOOD, 10) for _ in range(5)], ask(CAMERA, 1 << 20))
    assert answered[FLOOD] == pytest.approx(10 * REFUSALS, abs=5)
    assert answered[CAMERA] == pytest.approx(10 * REFUSALS / 4, abs=5)


def test_addresses_that_are_gone_are_forgotten(clock, shares):
    for number in range(100):
        shares.used(f"2001:db8:{number:x}::/64", 0.1)
    work = Work(clock, shares)
    clock.play(20, work.camera())
    assert set(shares._accounts) == {CAMERA}


def test_a_pace(clock):
    pace, times = Pace(10, clock, clock.sleep), []

    async def wait():
        await pace.next()
        times.append(clock.now)

    clock.play(10, *[wait() for _ in range(4)])
    assert times == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.11)
