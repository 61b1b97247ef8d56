"""The gazetteer as registration reads it."""

from pydantic import TypeAdapter

from contracts.household import VillageCode
from services.registration.gazetteer import load_gazetteer


def test_every_village_has_a_code_that_events_can_carry() -> None:
    code = TypeAdapter(VillageCode)
    assert [village for village in load_gazetteer() if code.validate_python(village) != village] == []
    assert len(load_gazetteer()) > 14_000
