"""G2P Connect messages: valid against the published file, signed, and read for what they mean."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml
from nacl.signing import SigningKey

from contracts.household import Account
from contracts.payment import PayTo, ReportStatus
from services.payments import api_callbacks
from services.payments.partners import g2p
from services.payments.partners.g2p import Acknowledgement, Order, Sides, Statuses

NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
KEY, OTHER = SigningKey(bytes(32)), SigningKey(bytes([1]) * 32)
SIDES = Sides("tonle", "truemoney", "account:000111222@nbc", "http://127.0.0.1/partners/truemoney/g2p")
PAY_TO = PayTo(
    name_km="សុខ ដារ៉ា", name_latin="Sok Dara", account=Account(provider="truemoney", number="0123456789")
)
BODY = g2p.disburse("t-1", [Order("p-1", 176_000, PAY_TO)], SIDES, NOW)


@pytest.fixture(scope="session")
def published(shared_data: Path) -> Mapping[str, object]:
    """The OpenAPI file, its known slip put right: it requires `disburemsents`, and means `disbursements`."""
    text = (shared_data / "g2p_connect" / "disburse_core_api_v1.0.0.yaml").read_text()
    found: Mapping[str, object] = yaml.safe_load(text.replace("- disburemsents", "- disbursements"))
    return found


def check(published: Mapping[str, object], schema: str, message: object) -> None:
    whole = {**published, "$ref": f"#/components/schemas/{schema}"}
    jsonschema.Draft202012Validator(whole).validate(json.loads(json.dumps(message)))


def test_what_we_send_is_valid_against_the_published_file(published: Mapping[str, object]) -> None:
    check(published, "DisburseRequest", BODY["message"])
    check(published, "MsgHeader_V1.0.0", BODY["header"])
    for about in ("t-1", ["p-1", "p-2"]):
        asked = g2p.ask("t-1", about, SIDES, NOW)
        check(published, "MsgHeader_V1.0.0", asked["header"])
        request = asked["message"]["txnstatus_request"]
        assert isinstance(request, dict)
        assert set(request) >= {"reference_id", "txn_type", "attribute_type", "attribute_value"}


@pytest.mark.parametrize(("word", "code"), [("ACK", None), ("ERR", "err.signature.invalid")])
def test_what_we_answer_to_a_call_back_is_valid_against_the_published_file(
    published: Mapping[str, object], word: str, code: str | None
) -> None:
    said = json.loads(bytes(api_callbacks._answer(word, code, 200).body))["message"]
    whole = {**published, "$ref": "#/components/responses/Response/content/application~1json/schema"}
    jsonschema.Draft202012Validator(whole).validate({"message": said})
    assert Acknowledgement.model_validate({"message": said}).refusal == code


def test_an_amount_is_a_string_with_two_decimals() -> None:
    disbursements = BODY["message"]["disbursements"]
    assert isinstance(disbursements, list)
    assert disbursements[0]["amount"] == "176000.00"
    assert disbursements[0]["payee_fa"] == "account:0123456789@truemoney"


def test_a_signature_holds_over_what_was_signed_by_whom_and_for_a_while() -> None:
    signed = g2p.signed(BODY, KEY, "tonle|1|ed25519", NOW)
    assert g2p.why_not_signed(signed, KEY.verify_key, NOW) is None
    changed = {**signed, "message": {**BODY["message"], "transaction_id": "t-2"}}
    cases = {
        "another's": (signed, OTHER.verify_key, NOW),
        "changed": (changed, KEY.verify_key, NOW),
        "expired": (signed, KEY.verify_key, NOW + timedelta(hours=1)),
        "from the future": (signed, KEY.verify_key, NOW - timedelta(hours=1)),
        "garbled": ({**signed, "signature": 'created="x"'}, KEY.verify_key, NOW),
    }
    found = {name: g2p.why_not_signed(*case) for name, case in cases.items()}
    assert found == dict.fromkeys(cases, "err.signature.invalid")
    assert g2p.why_not_signed(BODY, KEY.verify_key, NOW) == "err.signature.missing"


@pytest.mark.parametrize(
    ("status", "reason", "means"),
    [
        ("rcvd", None, ReportStatus.ACCEPTED),
        ("pdng", None, ReportStatus.ACCEPTED),
        ("succ", None, ReportStatus.SETTLED),
        ("rjct", "rjct.payee_fa.invalid", ReportStatus.FAILED),
        ("rjct", "rjct.reference_id.duplicate", ReportStatus.ACCEPTED),
        ("rjct", "rjct_srch_reference_id.not_found", ReportStatus.NOT_FOUND),
    ],
)
def test_a_status_means_what_it_means_and_a_duplicate_is_no_failure(
    status: str, reason: str | None, means: ReportStatus
) -> None:
    (said,) = g2p.said(statuses(status=status, status_reason_code=reason), to_question=False)
    assert (said.status, said.flaw) == (means, None)


@pytest.mark.parametrize(
    ("to_question", "means"), [(True, ReportStatus.NOT_FOUND), (False, ReportStatus.FAILED)]
)
def test_a_reference_that_is_not_known_failed_where_it_was_ordered_and_not_where_it_was_asked_about(
    to_question: bool, means: ReportStatus
) -> None:
    of = statuses(status="rjct", status_reason_code="rjct.reference_id.invalid")
    (said,) = g2p.said(of, to_question=to_question)
    assert said.status is means


@pytest.mark.parametrize(
    ("amount", "currency", "flaw"),
    [
        ("176000.00", "KHR", None),
        ("176000.50", "KHR", "amount: a fraction of a riel"),
        ("176000", "KHR", "amount: not as the interface writes it"),
        ("176000.00", "USD", "currency: KHR expected"),
    ],
)
def test_a_wrong_amount_is_seen(amount: str, currency: str, flaw: str | None) -> None:
    (said,) = g2p.said(statuses(amount=amount, currency_code=currency), to_question=False)
    assert said.flaw == flaw


def test_who_has_no_account_cannot_be_paid_so() -> None:
    assert g2p.flaw(PAY_TO) is None
    assert g2p.flaw(PAY_TO.model_copy(update={"account": None})) == "account-missing"
    spaced = Account(provider="truemoney", number="01 23")
    assert g2p.flaw(PAY_TO.model_copy(update={"account": spaced})) == "account-not-writable"


def statuses(**said: object) -> Statuses:
    one = {"reference_id": "p-1", "timestamp": NOW.isoformat(), "status": "succ", **said}
    return Statuses.model_validate({"transaction_id": "t-1", "disbursements_status": [one]})
