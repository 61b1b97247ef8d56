"""The second bare process: scores households by the services' own programme, and seals the payee again."""

from datetime import date
from pathlib import Path

import services.eligibility
from benchmarks.floor.hop import Ciphers, Hop, Service, columns, run
from benchmarks.floor.wire import CYCLE, PERIOD, REFERENCE_DATE, Event, Out, Outgoing, seal, unseal, uuid5
from contracts import wire
from contracts.eligibility import EligibilityScored, ProgrammeDecision
from contracts.household import AreaType, CommuneCode, HouseholdRegistered, KeyPurpose, Level, Persons
from contracts.sealed import Sealed
from contracts.topics import ELIGIBILITY_SCORED, HOUSEHOLD_REGISTERED
from services.eligibility.facts import People, facts_of
from services.eligibility.programmes import parse
from services.eligibility.scoring import Occasion, decide
from services.eligibility.structs import read

SCHEMA = "create table if not exists household (household_id text primary key, revision int not null)"
AS_OF = date.fromisoformat(REFERENCE_DATE)
_FILE = Path(services.eligibility.__file__ or "").parent / "programmes" / "covid-19-cash-transfer.yaml"
_PROGRAMME = parse(_FILE.name, _FILE.read_bytes())
_OCCASION = Occasion(AS_OF, CYCLE, PERIOD)


class Eligibility(Service):
    """Scores each household once."""

    async def score(self, events: list[Event[HouseholdRegistered]], ciphers: Ciphers) -> Outgoing:
        """Keep and score those that are new."""
        new = await self.db.fetch(
            "insert into household select * from unnest($1::text[], $2::int[]) on conflict do nothing"
            " returning household_id",
            *columns(sorted((event.data.household_id, event.data.revision) for event in events), 2),
        )
        fresh = {row[0] for row in new}
        outgoing: Outgoing = {}
        for event in events:
            if event.data.household_id in fresh:
                place = (ELIGIBILITY_SCORED.name, event.partition)
                outgoing.setdefault(place, []).append(scored(event, ciphers))
        return outgoing


def scored(event: Event[HouseholdRegistered], ciphers: Ciphers) -> Out:
    """What is decided of a household, as a record."""
    said = event.data
    persons = unseal(ciphers[said.persons.key_id], said.persons.blob, event.id, HOUSEHOLD_REGISTERED)
    cipher = ciphers[said.payee.key_id]
    payee = unseal(cipher, said.payee.blob, event.id, HOUSEHOLD_REGISTERED)
    event_id = uuid5(f"{ELIGIBILITY_SCORED.name}/{said.household_id}/1")
    data = EligibilityScored(
        household_id=said.household_id,
        revision=said.revision,
        commune=said.commune,
        area_type=said.area_type,
        level=said.level,
        decisions=(decision(read(People, persons), said.level, said.area_type, said.commune),),
        payee=Sealed(key_id=said.payee.key_id, blob=seal(cipher, payee, event_id, ELIGIBILITY_SCORED)),
    )
    return event.causes(said.household_id, wire.dump(data), event_id)


def decision(
    people: People | Persons, level: Level, area_type: AreaType, commune: CommuneCode
) -> ProgrammeDecision:
    """What the programme gives a household in the open cycle."""
    return decide(_PROGRAMME, facts_of(people, level, area_type, commune, AS_OF), _OCCASION)


async def main() -> None:
    """Score what comes."""
    eligibility = Eligibility("eligibility", SCHEMA)
    hop = Hop(
        eligibility,
        HOUSEHOLD_REGISTERED,
        HouseholdRegistered,
        lambda said: (said.persons.key_id, said.payee.key_id),
        eligibility.score,
        purposes=tuple(KeyPurpose),
    )
    await hop.run()


if __name__ == "__main__":
    run(main())
