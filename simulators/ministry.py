"""A ministry that households are referred to, on plain Kafka: `python -m simulators.ministry`.

A sample for its engineers: it reads `referral.made.v1` from the start, opens its own letters with a JOSE
library, verifies that eligibility signed them, and prints each referral that stands as a line of JSON.
`docs/referrals.md` walks through it.
"""

import asyncio
import json
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.referral import Referral, ReferralMade, ReferralState
from contracts.topics import REFERRAL_MADE
from contracts.wire import Headers, WireError, decode, load


class Settings(BaseSettings):
    """`TONLE_…` environment variables; `secrets` is the folder with the keys (JWK files)."""

    model_config = SettingsConfigDict(env_prefix="TONLE_", extra="ignore")

    kafka: str
    kafka_user: str
    kafka_password_file: Path
    topic_prefix: str = ""
    secrets: Path
    ministry: str


class NotToUs(ValueError):
    """A letter to us that we can't open, or that eligibility did not sign: ask who runs the system."""


class Desk:
    """Opens what is addressed to one ministry, and knows what stands by referral id."""

    def __init__(self, ministry: str, secrets: Path) -> None:
        self._ministry = ministry
        self._ours = _key(secrets / f"ministry-{ministry}.jwk")
        self._theirs = _key(secrets / "eligibility.pub.jwk")
        self.standing: dict[str, Referral] = {}

    def take(self, key: bytes | None, value: bytes | None, headers: Headers) -> Referral | None:
        """Take a record in; None for another ministry's. Raises `NotToUs`, and `WireError` for no event.

        The same record may come twice, and then changes nothing: a referral is known by its id.
        """
        event = decode(ReferralMade, REFERRAL_MADE.name, key, value, headers).data
        if event.recipient != self._ministry:
            return None
        referral = self.opened(event)
        if referral.state is ReferralState.MADE:
            self.standing[referral.referral_id] = referral
        else:
            self.standing.pop(referral.referral_id, None)
        return referral

    def opened(self, event: ReferralMade) -> Referral:
        """The letter of an event. Raises `NotToUs`, also where it was moved here from another event."""
        try:
            sealed = jwe.decrypt_compact(event.letter, self._ours, algorithms=["ECDH-ES+A256KW", "A256GCM"])
            signed = sealed.plaintext or b""
            payload = jws.deserialize_compact(signed, self._theirs, algorithms=["Ed25519"]).payload
        except (JoseError, ValueError) as error:
            raise NotToUs(NotToUs.__doc__) from error
        referral = load(Referral, payload)
        if (referral.recipient, referral.household_id) != (self._ministry, event.household_id):
            raise NotToUs(NotToUs.__doc__)
        return referral


def _key(path: Path) -> OKPKey:
    return OKPKey.import_key(json.loads(path.read_text()))


async def read(settings: Settings) -> Desk:
    """Everything said so far, taken in; what can't be read is told on the error output."""
    desk = Desk(settings.ministry, settings.secrets)
    consumer = AIOKafkaConsumer(
        settings.topic_prefix + REFERRAL_MADE.name,
        bootstrap_servers=settings.kafka,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_plain_username=settings.kafka_user,
        sasl_plain_password=settings.kafka_password_file.read_text().strip(),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for each in records:
                    _take(desk, each)
    finally:
        await consumer.stop()
    return desk


def _take(desk: Desk, record: ConsumerRecord) -> None:
    try:
        desk.take(record.key, record.value, record.headers)
    except (NotToUs, WireError) as error:
        sys.stderr.write(f"partition {record.partition}, offset {record.offset}: {error}\n")


def main() -> None:
    """Print the referrals that stand, a line of JSON each."""
    desk = asyncio.run(read(Settings()))
    for referral in desk.standing.values():
        sys.stdout.write(referral.model_dump_json(exclude_none=True) + "\n")


if __name__ == "__main__":
    main()
