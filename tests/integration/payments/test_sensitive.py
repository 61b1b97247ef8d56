"""Sensitive programmes on the real stack: paid together, and nowhere does payments say which it was."""

from datetime import date

import pytest

from contracts import topics, wire
from contracts.eligibility import (
    SEALED_TOGETHER,
    EligibilityScored,
    Outcome,
    ProgrammeDecision,
    SensitiveDecisions,
    terms_together,
)
from contracts.household import AreaType, Level
from contracts.sealed import Sealed
from contracts.wire import Record
from tests.integration.payments.conftest import PERIOD, Family, Scene, event, family
from tests.waiting import until
from vault.sealing import Keys

pytestmark = pytest.mark.stack
CYCLE = f"{SEALED_TOGETHER}-{PERIOD}"
NAMES = ("family-package-hiv", "pregnancy-and-children-under-2")


def sealed(of: Family, amounts: tuple[int, int], sequence: int = 1) -> Record:
    """What eligibility says of a household: nothing in the clear, both programmes sealed."""
    keys, topic = Keys({}), topics.ELIGIBILITY_SCORED
    keys.add(of.key_id, of.key)
    known_as = wire.event_id(topic, of.household_id, sequence)

    def seal(plain: bytes, kind: str) -> Sealed:
        return Sealed(key_id=of.key_id, blob=keys.seal(of.key_id, plain, event_id=known_as, event_type=kind))

    decisions = tuple(
        ProgrammeDecision(
            programme=name,
            programme_hash=f"hash of {name}",
            purpose=f"purpose of {name}",
            as_of=date(2023, 6, 1),
            cycle_id=CYCLE,
            period=PERIOD,
            outcome=Outcome.ELIGIBLE if amount else Outcome.REFUSED,
            amount=amount,
        )
        for name, amount in zip(NAMES, amounts, strict=True)
    )
    data = EligibilityScored(
        household_id=of.household_id,
        revision=1,
        commune="120101",
        area_type=AreaType.PHNOM_PENH,
        level=Level.POOR_1,
        decisions=(),
        payee=seal(wire.dump(of.payee), topic.name),
        sensitive=seal(wire.dump(SensitiveDecisions(decisions=decisions)), f"{topic.name}/sensitive"),
    )
    return event(topic, data, of.household_id, sequence, id=known_as)


async def approved(scene: Scene) -> None:
    """A cycle that pays them together, by Sokha and Dara."""
    await scene.officer("Sokha", "cycle.prepare", "cycle.approve", "read")
    await scene.officer("Dara", "cycle.approve", "read")
    terms = {
        "programme": SEALED_TOGETHER,
        "programme_hash": terms_together((name, f"hash of {name}") for name in NAMES),
        "purpose": SEALED_TOGETHER,
        "period": PERIOD,
        "reference_date": f"{PERIOD}-01",
        "envelope": 1_000_000,
        "cap_household": 100_000,
        "cap_payments": 10,
    }
    for path, by, body in (
        ("/cycles", "Sokha", terms),
        (f"/cycles/{CYCLE}/submit", "Sokha", None),
        (f"/cycles/{CYCLE}/approve", "Dara", None),
    ):
        (await scene.call("POST", path, body, by=by)).raise_for_status()


async def test_sensitive_programmes_are_paid_as_one_amount_and_corrected_as_one(scene: Scene) -> None:
    one, both, none = (family(f"h-{number:04}") for number in range(3))
    async with scene.running():
        await approved(scene)
        await scene.send(scene.key(each) for each in (one, both, none))
        await scene.send([sealed(one, (28_000, 0)), sealed(both, (28_000, 40_000)), sealed(none, (0, 0))])
        await scene.settled_down(states={"h-0000": "issued", "h-0001": "issued"}, waiting={}, parked=[])
        await scene.send([sealed(one, (0, 40_000), sequence=2)])
        await until(lambda: scene.db.fetchval("select amount = 12000 from correction"))
    amounts = {household: said.amount for household, said in await scene.instructions()}
    assert amounts == {"h-0000": 28_000, "h-0001": 68_000}


async def test_nothing_that_payments_keeps_or_says_names_a_sensitive_programme(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await approved(scene)
        await scene.send([scene.key(one), sealed(one, (28_000, 40_000))])
        await scene.settled_down(states={"h-0001": "issued"})
    said = [each for topic in topics.TOPICS for each in await scene.on(topic.name)]
    assert any(each.key == b"h-0001" for each in said)
    tables = await scene.db.fetch("select tablename from pg_tables where schemaname = 'public'")
    kept = [str(row) for each in tables for row in await scene.db.fetch(f"select t::text from {each[0]} t")]
    assert any("h-0001" in each for each in kept)
    words = [*NAMES, *(f"purpose of {name}" for name in NAMES), *(f"hash of {name}" for name in NAMES)]
    told = [word for word in words for each in said if word.encode() in each.value]
    held = [word for word in words for each in kept if word in each]
    assert (told, held) == ([], [])
