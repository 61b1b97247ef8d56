"""What one run of the fault tests shall do, and how its seeded schedule is drawn. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, get_args

Kind = Literal[
    "kill",
    "freeze",
    "freeze in transaction",
    "freeze before publishing",
    "kill broker",
    "restart broker",
    "freeze broker",
    "broker away",
    "cut log",
    "kill postgres",
    "restart postgres",
    "scale up",
    "scale down",
]
Guard = Literal["position", "sequence", "unique key", "outbox", "never again", "gateway key"]
GUARDS: Sequence[str] = get_args(Guard)
SERVICES = ("registration", "eligibility", "payments", "notifications")
LISTENING = SERVICES[1:]


@dataclass(frozen=True)
class Plan:
    """`households`: how many are registered in all; `without`: guards taken away, to see the next one."""

    seed: int
    households: int
    home: Path
    short: bool = False
    without: frozenset[str] = field(default_factory=frozenset)


class Step(NamedTuple):
    """One disturbance, on a service where it is one's; `seconds`: how long it lasts, `pause_s` after it."""

    kind: Kind
    service: str
    seconds: float
    pause_s: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind}{' ' + self.service if self.service else ''}{lasting}"


def schedule(plan: Plan) -> list[Step]:
    """The disturbances in their order: the same seed draws the same, whatever the machine does."""
    random = Random(f"schedule/{plan.seed}")
    return _short(random) if plan.short else _long(random)


def _long(random: Random) -> list[Step]:
    steps = [Step("kill", service, 0, _pause(random)) for service in SERVICES * 2]
    steps += [Step("freeze", service, random.uniform(4, 10), _pause(random)) for service in SERVICES]
    for service in LISTENING:
        steps += [
            Step("freeze in transaction", service, random.uniform(4, 11), _pause(random)),
            Step("freeze before publishing", service, random.uniform(4, 11), _pause(random)),
        ]
    for kind in ("kill broker", "restart broker", "kill postgres", "restart postgres"):
        steps.append(Step(kind, "", 0, _pause(random)))
    steps.append(Step("freeze broker", "", random.uniform(2, 6), _pause(random)))
    steps.append(Step("broker away", "", random.uniform(6, 12), _pause(random)))
    steps.append(Step("cut log", "", 0, _pause(random)))
    random.shuffle(steps)
    return _scaled(random, steps)


def _short(random: Random) -> list[Step]:
    frozen, before = random.sample(LISTENING, 2)
    steps = [Step("kill", service, 0, 0.5) for service in SERVICES]
    steps += [
        Step("freeze in transaction", frozen, 4, 0.5),
        Step("freeze before publishing", before, 4, 0.5),
        Step("kill broker", "", 0, 0.5),
        Step("kill postgres", "", 0, 0.5),
        Step("cut log", "", 0, 0.5),
    ]
    random.shuffle(steps)
    return steps


def _scaled(random: Random, steps: list[Step]) -> list[Step]:
    """One service after another has three processes for a third of the time."""
    services = random.sample(LISTENING, len(LISTENING))
    third = len(steps) // len(services)
    scaled: list[Step] = []
    for number, service in enumerate(services):
        last = number == len(services) - 1
        part = steps[number * third :] if last else steps[number * third : (number + 1) * third]
        scaled += [Step("scale up", service, 0, 0), *part, Step("scale down", service, 0, 0)]
    return scaled


def _pause(random: Random) -> float:
    return random.uniform(0.3, 2.5)
