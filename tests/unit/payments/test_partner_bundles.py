"""Payments and a partner on Kafka, each with its own JOSE: many instructions, or reports, in one token."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
from aiokafka.partitioner import DefaultPartitioner
from joserfc import jws
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from contracts import bundle
from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, ReportStatus
from contracts.topics import partner_report
from contracts.wire import JOSE, Cause, Received, Record, WireError, dump
from postbox.message import Item
from postbox.outbox import STRANDS, strands
from services.payments.partners.kafka import KafkaPartner
from simulators.partner_letters import Letters, NotForUs
from simulators.partner_reports import Letter, Report, letters
from vault.jose import Agreement, Opener, Verifier, read_key, read_keys

NOW = datetime.now(UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
CAUSE = Cause("cause", "correlation", TRACE)
SIGNATURES = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
KEYS: Mapping[str, Literal["Ed25519", "X25519"]] = {
    "payments": "Ed25519",
    "wing-sign": "Ed25519",
    "wing-encrypt": "X25519",
}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name, curve in KEYS.items():
        write(folder, name, [OKPKey.generate_key(curve, private=True)])
    return folder


def write(folder: Path, name: str, keys: Sequence[OKPKey]) -> None:
    """A key file, and its public half: one JWK, or a set."""
    for file, private in ((f"{name}.jwk", True), (f"{name}.pub.jwk", False)):
        said = [key.as_dict(private=private) for key in keys]
        (folder / file).write_text(json.dumps(said[0] if len(said) == 1 else {"keys": said}))


def us(secrets: Path, most: int = 100) -> KafkaPartner:
    return KafkaPartner(
        "wing",
        sign_with=read_key(secrets / "payments.jwk", "Ed25519"),
        encrypt_to=read_key(secrets / "wing-encrypt.pub.jwk", "X25519"),
        verify_with=read_keys(secrets / "wing-sign.pub.jwk", "Ed25519"),
        bundle_most=most,
    )


def told(partner: KafkaPartner, *household_ids: str, names: str = "wing") -> list[Record]:
    mailing = partner.mailing()
    for number, household_id in enumerate(household_ids):
        instruction = PaymentInstruction(
            instruction_id=f"i-{number}",
            kind=InstructionKind.PAY,
            payment_id=f"p-{number}",
            partner=names,
            amount=100,
            commune="120101",
        )
        mailing.instruct(
            dump(instruction),
            id=instruction.instruction_id,
            household_id=household_id,
            sequence=number,
            time=NOW,
            cause=CAUSE,
        )
    return mailing.sealed()


def report(household_id: str, **changed: object) -> PaymentReport:
    said = {
        "report_id": f"r-{household_id}",
        "payment_id": f"p-{household_id}",
        "partner": "wing",
        "status": ReportStatus.SETTLED,
        "amount": 100,
        "occurred_at": NOW,
    }
    return PaymentReport.model_validate(said | changed)


def said(*about: PaymentReport, most: int = 100) -> list[Letter]:
    reports = [
        Report(0, False, each.report_id, each.report_id.removeprefix("r-"), CAUSE, dump(each).decode())
        for each in about
    ]
    return list(letters(partner_report("wing"), reports, count(1), most, NOW.isoformat()))


def read(partner: KafkaPartner, record: Record) -> list[Item]:
    found = partner.read_report(record.topic, record.key, record.value, record.headers)
    return found if isinstance(found, list) else [Item(record.key, found)]


def test_the_partner_reads_every_instruction_of_a_bundle_under_its_own_household(secrets: Path) -> None:
    households = [f"h-{number}" for number in range(60)]
    records = told(us(secrets), *households)
    assert len(records) == STRANDS
    heard = [each for record in records for each in Letters("wing", secrets).read(record)]
    assert {each.key for each in heard if not isinstance(each, WireError)} == set(households)
    assert {(e.data.instruction_id, e.id, e.sequence) for e in heard if not isinstance(e, WireError)} == {
        (f"i-{number}", f"i-{number}", number) for number in range(60)
    }


@pytest.mark.parametrize("partitions", [1, 3, 4, 8, 12])
def test_a_bundle_holds_households_of_one_partition_and_strand_alone_and_says_whose(
    secrets: Path, partitions: int
) -> None:
    partner = us(secrets)
    partner.partitions = partitions
    for record in told(partner, *(f"h-{number}" for number in range(200))):
        keys = [key.encode() for _, key, _ in bundle.list_of(record.headers)]
        as_alone = [record._replace(key=key) for key in keys]
        assert keys[0] == record.key
        assert len(strands(as_alone)) == 1
        assert len({bundle_partition(each, partitions) for each in keys}) == 1


def bundle_partition(key: bytes, partitions: int) -> int:
    places = list(range(partitions))
    return int(DefaultPartitioner()(key, places, places))


def test_a_partner_that_knows_single_instructions_alone_gets_no_other(secrets: Path) -> None:
    for most, partitions in ((1, STRANDS), (100, 0)):
        partner = us(secrets, most)
        partner.partitions = partitions
        records = told(partner, "h-1", "h-1", "h-2")
        assert sorted(record.key for record in records) == [b"h-1", b"h-1", b"h-2"]
        assert {dict(record.headers)["ce_id"] for record in records} == {b"i-0", b"i-1", b"i-2"}
        assert [name for record in records for name, _ in record.headers if name == bundle.BUNDLED] == []


def test_the_same_bundle_has_the_same_id_for_ever(secrets: Path) -> None:
    once, again = (told(us(secrets), "h-1", "h-1") for _ in range(2))
    assert [dict(each.headers)["ce_id"] for each in once] == [dict(each.headers)["ce_id"] for each in again]


def test_an_instruction_in_a_bundle_for_another_partner_is_refused_alone(secrets: Path) -> None:
    (record,) = told(us(secrets), "h-1", "h-1", names="acleda")
    assert [type(each) for each in Letters("wing", secrets).read(record)] == [WireError, WireError]


def test_what_is_no_instruction_in_a_bundle_is_refused_alone(secrets: Path) -> None:
    (record,) = told(us(secrets), "h-1", "h-1")
    opener = Opener(*read_keys(secrets / "wing-encrypt.jwk", "X25519"))
    _, plain = Verifier(read_key(secrets / "payments.jwk", "Ed25519")).read(opener.open(record.value))
    first, second = json.loads(plain)
    token = us(secrets).signer.sign(json.dumps([first | {"data": {}}, second]).encode(), bundle.CTY)
    sealed = Agreement(us(secrets).encrypt_to).encrypt(token)
    bad, good = Letters("wing", secrets).read(record._replace(value=sealed))
    assert (type(bad), type(good)) == (WireError, Received)


def test_payments_reads_every_report_of_a_bundle_and_refuses_the_bad_ones_alone(secrets: Path) -> None:
    about = [report("h-1"), report("h-2", partner="acleda"), report("h-3")]
    (together,) = said(*about)
    record = Letters("wing", secrets).write(together, NOW)
    first, bad, last = read(us(secrets), record)
    assert (first.key, bad.key, last.key) == (b"h-1", b"h-2", b"h-3")
    assert not isinstance(first.event, Exception)
    assert (first.event.key, first.event.traceparent) == ("h-1", TRACE)
    assert str(bad.event) == "report: it names another partner than the topic's"
    assert not isinstance(last.event, Exception)


def test_reports_in_bundles_of_one_are_as_they_always_were(secrets: Path) -> None:
    alone = said(report("h-1"), report("h-2"), most=1)
    records = [Letters("wing", secrets).write(each, NOW) for each in alone]
    assert [record.key for record in records] == [b"h-1", b"h-2"]
    assert [dict(record.headers)["ce_id"] for record in records] == [b"r-h-1", b"r-h-2"]
    assert [len(read(us(secrets), record)) for record in records] == [1, 1]


def signed(secrets: Path, payload: bytes, *, by: str = "wing-sign", **header: object) -> Record:
    key = read_key(secrets / f"{by}.jwk", "Ed25519")
    head = {"alg": "Ed25519", "exp": int(NOW.timestamp()) + 600, "cty": bundle.CTY} | header
    token = jws.serialize_compact(head, payload, key, registry=SIGNATURES).encode()
    return Record(partner_report("wing").name, b"h-1", token, (("content-type", JOSE),))


def payload(secrets: Path) -> bytes:
    (together,) = said(report("h-1"), report("h-2"))
    record = Letters("wing", secrets).write(together, NOW)
    return jws.deserialize_compact(
        record.value, read_key(secrets / "wing-sign.jwk", "Ed25519"), registry=SIGNATURES
    ).payload


def test_a_bundle_that_another_signed_or_that_is_none_is_refused_as_a_whole(secrets: Path) -> None:
    good = payload(secrets)
    for record in (
        signed(secrets, good, by="payments"),
        signed(secrets, b'{"no": "batch"}'),
        signed(secrets, good)._replace(value=b"no token"),
        signed(secrets, good, cty="json"),
    ):
        with pytest.raises(WireError):
            read(us(secrets), record)


def test_each_report_of_a_bundle_is_judged_by_its_own_time(secrets: Path) -> None:
    later = (NOW + timedelta(hours=1)).isoformat()
    first, second = json.loads(payload(secrets))
    record = signed(secrets, json.dumps([first, second | {"time": later}]).encode())
    good, expired = read(us(secrets), record)
    assert not isinstance(good.event, Exception)
    assert str(expired.event) == "report: its signature has expired, or says no time"


def test_keys_on_both_sides_are_replaced_while_tokens_of_the_old_ones_are_on_their_way(
    tmp_path: Path,
) -> None:
    old = {name: OKPKey.generate_key(curve, private=True) for name, curve in KEYS.items()}
    new = {name: OKPKey.generate_key(curve, private=True) for name, curve in KEYS.items()}
    in_turn(tmp_path, {name: [key] for name, key in old.items()})
    instruction, said_before = told(us(tmp_path), "h-1")[0], letter(tmp_path)
    in_turn(tmp_path, {name: [new[name], old[name]] for name in KEYS})
    for record in (instruction, told(us(tmp_path), "h-1")[0]):
        assert len(Letters("wing", tmp_path).read(record)) == 1
    for record in (said_before, letter(tmp_path)):
        assert len(read(us(tmp_path), record)) == 1
    in_turn(tmp_path, {name: [key] for name, key in new.items()})
    with pytest.raises(WireError):
        read(us(tmp_path), said_before)
    with pytest.raises(NotForUs):
        Letters("wing", tmp_path).read(instruction)


def in_turn(folder: Path, keys: Mapping[str, Sequence[OKPKey]]) -> None:
    for name, some in keys.items():
        write(folder, name, some)


def letter(folder: Path) -> Record:
    (alone,) = said(report("h-1"))
    return Letters("wing", folder).write(alone, NOW)
