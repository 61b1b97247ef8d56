"""Events of households and cycles as eligibility receives them, sealed by keys of the test."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from joserfc.jwk import OKPKey

from contracts import topics, wire
from contracts.condition import ConditionKind, ConditionReport, ConditionReported
from contracts.cycle import CycleChanged, CycleState
from contracts.household import (
    AreaType,
    Condition,
    EquityCard,
    ExitReason,
    HouseholdExited,
    HouseholdRegistered,
    Level,
    Member,
    Payee,
    Persons,
    Purpose,
    Relation,
    Sex,
    Work,
)
from contracts.model import Contract
from contracts.sealed import Sealed
from contracts.topics import Topic
from contracts.wire import M, Received
from services.eligibility import library, programmes
from services.eligibility.app import FOLDER
from services.eligibility.cycles import Cycle
from services.eligibility.households import Desk
from services.eligibility.ministries import Ministries
from services.eligibility.packages import Panel
from services.eligibility.poverty import SCORECARD, Poverty
from services.eligibility.programmes import Programme
from services.eligibility.referring import Referrer
from vault.sealing import Keys

FILE = Path(programmes.__file__).parent / "programmes" / "covid-19-cash-transfer.yaml"
PROGRAMME = programmes.parse(FILE.name, FILE.read_bytes())
CYCLE = f"{PROGRAMME.id}-2023-06"
JUNE = date(2023, 6, 1)
START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = START
Event = (
    Received[HouseholdRegistered]
    | Received[HouseholdExited]
    | Received[CycleChanged]
    | Received[ConditionReported]
)
TRACE = "00-11111111111111111111111111111111-2222222222222222-01"
ADULT = date(1985, 4, 15)
ATTENDED = ConditionReport(
    reference="term",
    person_id="p",
    kind=ConditionKind.ATTENDANCE,
    on=JUNE,
    reported_on=JUNE,
    attendance_percent=90,
)


def changed(before: str, after: str) -> Programme:
    """The programme with its file changed."""
    content = FILE.read_text()
    assert before in content
    return programmes.parse(FILE.name, content.replace(before, after).encode())


def member(
    birth_date: date = ADULT,
    *conditions: Condition,
    relation: Relation = Relation.OTHER,
    work: Work | None = None,
) -> Member:
    return Member(
        person_id=f"p-{birth_date}",
        name_km="សុខ ដារា",
        name_latin="Sok Dara",
        sex=Sex.FEMALE,
        birth_date=birth_date,
        relation=relation,
        conditions=conditions,
        work=work,
    )


def persons(
    *members: Member, card_expires_on: date | None = date(2030, 1, 1), consents: Sequence[Purpose] = ()
) -> Persons:
    card = EquityCard(number="CARD-1", expires_on=card_expires_on)
    return Persons(
        members=members or (member(),), village="01020101", equity_card=card, consents=tuple(consents)
    )


PRESS_CASE = persons(member(), *(member(date(2021 - age, 2, 3)) for age in (3, 8, 11, 14)))
"""A rural mother with four children, one of them small: 176,000 riel a month on Poor 2."""

IN_NEED = persons(
    member(date(2003, 2, 3), Condition.RETURNED_MIGRANT, work=Work.NONE),
    *(member(date(2021 - age, 2, 3)) for age in (3, 8, 11, 14)),
    consents=[Purpose.REFERRAL],
).model_copy(update={"equity_card": None})
"""A household to be referred: its card did not come yet, and a young member came back without work."""
MINISTRIES = frozenset({"health", "labour", "planning"})
POVERTY = Poverty(library.scorecards(FOLDER / "scorecards")[SCORECARD])
OUR_KEY = OKPKey.generate_key("Ed25519", private=True)
THEIR_KEYS = {name: OKPKey.generate_key("X25519", private=True) for name in MINISTRIES}
WRITTEN_TO = Ministries(OUR_KEY, THEIR_KEYS)
SERVICES = library.services(FOLDER / "referrals", MINISTRIES, POVERTY)


@dataclass
class Sealer:
    """Seals as registration does, and opens as the vault's keys do; `destroyed` key ids open no more."""

    keys: Keys = field(default_factory=lambda: Keys({}))
    destroyed: set[str] = field(default_factory=set)

    def registered(
        self,
        household_id: str = "h-1",
        revision: int = 1,
        *,
        minute: int = 0,
        level: Level = Level.POOR_2,
        area: AreaType = AreaType.RURAL,
        of: Persons = PRESS_CASE,
        commune: str = "010201",
    ) -> Received[HouseholdRegistered]:
        topic = topics.HOUSEHOLD_REGISTERED
        event_id = wire.event_id(topic, household_id, revision)
        payee = Payee(person_id="p", name_km="សុខ ដារា", name_latin="Sok Dara", phone="+85512345678")
        data = HouseholdRegistered(
            household_id=household_id,
            revision=revision,
            replaces=revision - 1 or None,
            commune=commune,
            area_type=area,
            level=level,
            registered_by="office",
            persons=self._seal(f"{household_id}-person", of, event_id),
            payee=self._seal(f"{household_id}-payee", payee, event_id),
        )
        return received(topic, data, event_id, household_id, revision, minute=minute)

    def reported(
        self, report: ConditionReport, number: int = 1, household_id: str = "h-1", *, minute: int = 0
    ) -> Received[ConditionReported]:
        topic = topics.CONDITION_REPORTED
        event_id = wire.event_id(topic, household_id, number)
        sealed = self._seal(f"{household_id}-person", report, event_id, topic)
        data = ConditionReported(
            household_id=household_id, number=number, reported_by="office", report=sealed
        )
        return received(topic, data, event_id, household_id, number, minute=minute)

    def open(self, sealed: Sealed, event_id: str, event_type: str) -> bytes | None:
        if sealed.key_id in self.destroyed:
            return None
        return self.keys.open(sealed.key_id, sealed.blob, event_id=event_id, event_type=event_type)

    def _seal(
        self, key_id: str, what: Contract, event_id: str, topic: Topic = topics.HOUSEHOLD_REGISTERED
    ) -> Sealed:
        if self.keys.state(key_id) == "missing":
            self.keys.add(key_id, key_of(key_id))
        event_type = topic.name
        blob = self.keys.seal(key_id, wire.dump(what), event_id=event_id, event_type=event_type)
        return Sealed(key_id=key_id, blob=blob)


def key_of(key_id: str) -> bytes:
    """The data key of a household of the test."""
    return key_id.encode().ljust(32, b"\0")[:32]


def exited(household_id: str = "h-1", revision: int = 1, *, minute: int = 0) -> Received[HouseholdExited]:
    data = HouseholdExited(
        household_id=household_id, revision=revision, reason=ExitReason.MOVED, exited_by="office"
    )
    topic = topics.HOUSEHOLD_EXITED
    return received(
        topic, data, wire.event_id(topic, household_id, revision), household_id, revision, minute=minute
    )


def cycle_changed(
    state: CycleState = CycleState.OPENED,
    version: int = 1,
    *,
    minute: int = 0,
    cycle_id: str = CYCLE,
    reference_date: date = JUNE,
    programme: Programme = PROGRAMME,
) -> Received[CycleChanged]:
    data = CycleChanged(
        cycle_id=cycle_id,
        programme=programme.id,
        programme_hash=programme.hash,
        purpose="social-transfer",
        period=cycle_id[-7:],
        reference_date=reference_date,
        state=state,
        cap_household=400_000,
        cap_payments=1000,
        actor="Sokha",
    )
    topic = topics.CYCLE_CHANGED
    return received(topic, data, wire.event_id(topic, cycle_id, version), cycle_id, version, minute=minute)


def received(topic: Topic, data: M, id: str, key: str, sequence: int, *, minute: int) -> Received[M]:
    time = START + timedelta(minutes=minute)
    return Received(data, id, topic.name, key, time, sequence, f"request-{key}", TRACE)


def desk(sealer: Sealer, cycles: Iterable[Cycle] = ()) -> Desk:
    """Scores with the shipped programme, and refers by the shipped services."""
    referrer = Referrer(SERVICES, sealer.keys.mark)
    return Desk(Panel({PROGRAMME.id: PROGRAMME}), tuple(cycles), sealer.open, referrer=referrer)


OPENED, CLOSED, REFUSED = CycleState.OPENED, CycleState.CLOSED, CycleState.REFUSED
WALKS = (
    (),
    (OPENED,),
    (OPENED, CLOSED),
    (OPENED, REFUSED, OPENED),
    (OPENED, OPENED),
    (OPENED, REFUSED, CLOSED),
)


def history(random: Random) -> tuple[Sealer, dict[str, list[Event]]]:
    """Each topic's events in their order, of two households and two cycles of one programme."""
    sealer = Sealer()
    topics: dict[str, list[Event]] = {"registered": [], "exited": [], "cycle": []}
    for household_id in ("h-1", "h-2"):
        minutes = sorted(random.choices(range(10), k=random.randint(1, 3)))
        for revision, minute in enumerate(minutes, 1):
            level = random.choice([Level.POOR_1, Level.NONE])
            of = random.choice([PRESS_CASE, IN_NEED, persons(consents=[Purpose.REFERRAL])])
            told = sealer.registered(household_id, revision, minute=minute, level=level, of=of)
            topics["registered"].append(told)
            if random.random() < 0.2:
                topics["exited"].append(exited(household_id, revision))
    for cycle_id in (CYCLE, f"{CYCLE[:-1]}7"):
        walk = random.choice(WALKS)
        minutes = sorted(random.choices(range(10), k=len(walk)))
        for version, (state, minute) in enumerate(zip(walk, minutes, strict=True), 1):
            topics["cycle"].append(cycle_changed(state, version, minute=minute, cycle_id=cycle_id))
    return sealer, topics
