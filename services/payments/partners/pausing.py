"""Partners that are paused: by a person, since they are down, or on Kafka since they answer nothing."""

from collections.abc import Collection
from datetime import datetime, timedelta

from contracts.topics import partner_report
from postbox.message import Connection
from services.payments import store_cycles, store_outgoing
from services.payments.partners.options import Exchange

SILENT = "it answers nothing"
UNANSWERED = 2
"""Questions of ours about one payment, the one before left open."""
LOOKS_AFTER = 5
"""How often what waited is tried again: a batch that read of the pause before may be written afterwards."""


class Watch:
    """Keeps `Exchange.closed` and `paused` as the database says; one look at a time."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._looks_after = LOOKS_AFTER

    async def look(self, db: Connection, now: datetime) -> None:
        """Which partners cash is not routed to for now, and which are told nothing."""
        exchange = self._exchange
        pauses = await store_outgoing.pauses(db)
        for name in exchange.listeners.keys() & pauses.keys():
            if pauses[name].by is None and await _heard_since(db, name, pauses[name].since):
                await store_outgoing.resume(db, name, of_person=False)
                del pauses[name]
        closed = set(pauses)
        for name, a_day in exchange.capacities.items():
            if await store_outgoing.waits_more(db, name, a_day):
                closed.add(name)
        _become(exchange.closed, closed)
        paused = pauses.keys() & exchange.listeners.keys()
        if exchange.paused - paused:
            self._looks_after = LOOKS_AFTER
        _become(exchange.paused, paused)
        if self._looks_after:
            self._looks_after -= 1
            await store_cycles.try_paused(db, now)


async def pause_silent(db: Connection, exchange: Exchange, asked: Collection[str], now: datetime) -> None:
    """Of partners on Kafka that left a question open, pause those that said nothing for long."""
    for name in sorted(asked):
        silent_s = exchange.listeners.get(name)
        if silent_s is None or await _heard_since(db, name, now - timedelta(seconds=silent_s)):
            continue
        await store_outgoing.pause(db, name, SILENT, None, now)


async def _heard_since(db: Connection, partner: str, then: datetime) -> bool:
    heard_at = await store_outgoing.heard_at(db, partner_report(partner).name)
    return heard_at is not None and heard_at > then


def _become(kept: set[str], now: Collection[str]) -> None:
    kept.intersection_update(now)
    kept.update(now)
