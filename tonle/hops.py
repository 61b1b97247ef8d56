"""The flow in numbers: four hops, what waits at each, and the sums that must close. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Counts = Mapping[str, int]
PAYMENT_STATES = (
    *("issued", "accepted", "settled", "settled_late", "failed", "expired", "returned", "cancelled"),
    "unknown",
)


@dataclass(frozen=True)
class Counted:
    """What the four services say of themselves (`GET /summary`)."""

    registration: Counts
    eligibility: Counts
    payments: Counts
    notifications: Counts


@dataclass(frozen=True)
class Hop:
    """One step a household takes. `waiting`: how many are before it; riel where they are known."""

    name: str
    households: int
    riel: int | None
    waiting: int
    waiting_riel: int | None
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Sum:
    """An equation in households: `whole` = the sum of `parts`."""

    whole: tuple[str, int]
    parts: tuple[tuple[str, int], ...]

    @property
    def closes(self) -> bool:
        return self.whole[1] == sum(count for _, count in self.parts)

    def __str__(self) -> str:
        right = " + ".join(f"{name} {count:,}" for name, count in self.parts)
        return f"{self.whole[0]} {self.whole[1]:,} {'=' if self.closes else '≠'} {right}"


def hops(counted: Counted) -> tuple[Hop, Hop, Hop, Hop]:
    """Registered, scored, paid, told."""
    registered, scored = counted.registration, counted.eligibility
    paid, told = counted.payments, counted.notifications
    told_count = sum(told[f"told_{name}"] for name in ("sent", "unknown", "none", "waiting", "failed"))
    return (
        Hop(
            "registered",
            registered["registered"],
            None,
            registered["rows_left"],
            None,
            (("quarantined", registered["quarantined"]), ("duplicates", registered["duplicates"])),
        ),
        Hop(
            "scored",
            scored["households"],
            scored["riel"],
            max(0, registered["registered"] - scored["households"]),
            None,
            (("eligible", scored["eligible"]), ("refused", scored["refused"])),
        ),
        Hop(
            "paid",
            paid["payments"] - paid["reissued"],
            paid["riel_issued"],
            max(0, scored["eligible"] - paid["payments"] + paid["reissued"]),
            max(0, scored["riel"] - paid["riel_issued"]),
            (("settled", paid["settled"]), ("failed", _failed(paid)), ("waiting", paid["waiting"])),
        ),
        Hop(
            "told",
            told_count,
            None,
            max(0, paid["payments"] - told_count),
            None,
            _told(told),
        ),
    )


def sums(counted: Counted) -> tuple[Sum, ...]:
    """The four sums of one cycle, each in households."""
    registered, scored = counted.registration, counted.eligibility
    paid, told = counted.payments, counted.notifications
    return (
        Sum(
            ("imported", registered["imported"]),
            tuple((name, registered[name]) for name in ("registered", "quarantined", "duplicates")),
        ),
        Sum(
            ("registered", registered["registered"]),
            (("eligible", scored["eligible"]), ("refused", scored["refused"])),
        ),
        Sum(
            ("eligible", scored["eligible"]),
            (("payments", paid["payments"] - paid["reissued"]), ("waiting", paid["waiting"])),
        ),
        Sum(
            ("payments", paid["payments"]),
            _told(told),
        ),
    )


def at_rest(counted: Counted) -> bool:
    """Whether nothing is on its way any more: every row, decision, payment and SMS has its outcome."""
    paid, told = counted.payments, counted.notifications
    return (
        counted.registration["imports_running"] == 0
        and all(each.closes for each in sums(counted))
        and not any(paid[state] for state in ("issued", "accepted"))
        and not any(told[state] for state in ("queued", "sending"))
        and all(paid[state] == told[f"payments_{state}"] for state in PAYMENT_STATES)
    )


def bars(amounts: Mapping[str, int], width: int) -> list[tuple[str, int, str]]:
    """(name, amount, bar) in falling order; the longest bar is `width` characters, none is empty."""
    most = max(amounts.values(), default=0)
    ordered = sorted(amounts.items(), key=lambda each: (-each[1], each[0]))
    return [(name, amount, "█" * max(1, round(width * amount / most))) for name, amount in ordered if amount]


def rates(earlier: Sequence[Hop], now: Sequence[Hop], seconds: float) -> list[float]:
    """Households per second through each hop between two looks."""
    if seconds <= 0:
        return [0.0 for _ in now]
    return [(b.households - a.households) / seconds for a, b in zip(earlier, now, strict=True)]


def _told(told: Counts) -> tuple[tuple[str, int], ...]:
    """Payments by the best that became of their SMS."""
    rare = (("waiting", told["told_waiting"]), ("SMS failed", told["told_failed"]))
    return (
        ("SMS sent", told["told_sent"]),
        ("unknown", told["told_unknown"]),
        ("none", told["told_none"]),
        *((name, count) for name, count in rare if count),
    )


def _failed(paid: Counts) -> int:
    return sum(paid[state] for state in ("failed", "expired", "returned", "cancelled"))
