"""G2P Connect disburse API 1.0.0 (draft): the messages, their signature, and what they mean to us. Pure.

Amounts are strings with two decimals; a payment is a `reference_id`, a call with many a `transaction_id`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey
from pydantic import BaseModel, ConfigDict, Field

from contracts.payment import PayTo, ReportStatus
from services.payments.partners.iso20022.amounts import CURRENCY

VERSION, PURPOSE = "1.0.0", "social transfer"
HOLDS_S = 300
"""How long a signature of ours holds."""
NOT_FOUND = frozenset({"rjct_srch_reference_id.not_found", "rjct.srch_transaction_id.not_found"})
NOT_KNOWN = "rjct.reference_id.invalid"
"""The only word the draft's answer to a question has for a reference that was never ordered."""
NO_CANCELLING = "cancelling-not-offered"
"""The draft has no call that takes an order back."""
DUPLICATE = "rjct.reference_id.duplicate"
_STATUSES = {
    "rcvd": ReportStatus.ACCEPTED,
    "pdng": ReportStatus.ACCEPTED,
    "succ": ReportStatus.SETTLED,
    "rjct": ReportStatus.FAILED,
}
_AMOUNT = re.compile(r"(\d{1,13})\.(\d{1,2})")
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_WORD = re.compile(r"[a-zA-Z0-9.-]+")


class Order(NamedTuple):
    """One payment to order; `amount` in riel."""

    payment_id: str
    amount: int
    pay_to: PayTo


class Sides(NamedTuple):
    """Who speaks to whom, from which account the money comes, and where answers go."""

    sender: str
    receiver: str
    payer: str
    callback_url: str


class _Wire(BaseModel):
    # Another version may say more: what we do not know is passed over.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Status(_Wire):
    """What became of one reference."""

    reference_id: str
    timestamp: datetime
    status: Literal["rcvd", "pdng", "succ", "rjct"]
    status_reason_code: str | None = None
    amount: str | None = None
    currency_code: str | None = None


class Statuses(_Wire):
    """What became of a transaction's references."""

    transaction_id: str = Field(max_length=99)
    disbursements_status: tuple[Status, ...]


class Header(_Wire):
    """Of an answer."""

    message_id: str
    message_ts: datetime
    action: str
    status: str
    status_reason_code: str | None = None
    sender_id: str | None = None


class _TransactionStatus(_Wire):
    txn_type: str
    txn_status: Statuses


class StatusMessage(_Wire):
    """The answer to a question about a transaction or references."""

    transaction_id: str
    txnstatus_response: _TransactionStatus


class _Error(_Wire):
    code: str


class _Acknowledged(_Wire):
    ack_status: Literal["ACK", "NACK", "ERR"]
    error: _Error | None = None


class Acknowledgement(_Wire):
    """The answer to a call: ACK where it was taken, else why nothing of it was."""

    message: _Acknowledged

    @property
    def refusal(self) -> str | None:
        """Why it was not taken, in the draft's codes; None where it was."""
        if self.message.ack_status == "ACK":
            return None
        return self.message.error.code if self.message.error else self.message.ack_status


class Said(NamedTuple):
    """A status as we book it; `flaw` says why it can't be. `riel` is None where no amount was repeated."""

    payment_id: str
    status: ReportStatus | None
    riel: int | None
    reason: str | None
    at: datetime
    flaw: str | None


def flaw(pay_to: PayTo) -> str | None:
    """Why nobody can be paid so, as a reason code: the draft knows accounts only, in few characters."""
    account = pay_to.account
    if account is None:
        return "account-missing"
    written = _WORD.fullmatch(account.number) and _WORD.fullmatch(account.provider)
    return None if written else "account-not-writable"


def disburse(
    transaction_id: str, orders: Sequence[Order], sides: Sides, now: datetime
) -> dict[str, dict[str, object]]:
    """The body of `/disburse`, not signed yet. The same transaction says the same, but for its time."""
    disbursements = [
        {
            "reference_id": order.payment_id,
            "payer_fa": sides.payer,
            "payee_fa": _address(order.pay_to),
            "amount": f"{order.amount}.00",
            "payee_name": order.pay_to.name_latin,
            "purpose": PURPOSE,
            "currency_code": CURRENCY,
            "locale": "khm",
        }
        for order in orders
    ]
    header = _header("disburse", transaction_id, len(orders), sides, now)
    return {"header": header, "message": {"transaction_id": transaction_id, "disbursements": disbursements}}


def ask(
    transaction_id: str, about: str | Sequence[str], sides: Sides, now: datetime
) -> dict[str, dict[str, object]]:
    """The body of `/disburse/txn/status` and its `sync` sister: about a transaction, or references of any."""
    kind = "transaction_id" if isinstance(about, str) else "reference_id_list"
    request = {
        "reference_id": transaction_id,
        "txn_type": "disburse",
        "attribute_type": kind,
        "attribute_value": about if isinstance(about, str) else list(about),
    }
    header = _header("on-disburse", transaction_id, 1, sides, now)
    header["sender_uri"] = f"{sides.callback_url}/txn/on-status"
    return {"header": header, "message": {"transaction_id": transaction_id, "txnstatus_request": request}}


def said(statuses: Statuses, *, to_question: bool) -> list[Said]:
    """What each status means to us, in answer to an order or to a question.

    A duplicate is no failure: the payment is known, so it is asked about. Neither is a reference that is not
    known when it is asked about.
    """
    found = []
    for each in statuses.disbursements_status:
        status: ReportStatus | None = _STATUSES[each.status]
        code = each.status_reason_code
        if code in NOT_FOUND or (to_question and code == NOT_KNOWN):
            status = ReportStatus.NOT_FOUND
        elif code == DUPLICATE:
            status = ReportStatus.ACCEPTED
        riel, wrong = _riel(each)
        found.append(Said(each.reference_id, status, riel, code, each.timestamp, wrong))
    return found


def signed(body: Mapping[str, object], key: SigningKey, key_id: str, now: datetime) -> dict[str, object]:
    """The body with its signature, which is over `header` and `message`."""
    created = int(now.timestamp())
    signature = key.sign(_to_sign(body, created, created + HOLDS_S)).signature
    text = base64.b64encode(signature).decode()
    return {
        "signature": f'Signature: namespace="g2p", kidId="{key_id}", algorithm="ed25519", '
        f'created="{created}", '
        f'expires="{created + HOLDS_S}", headers="(created) (expires) digest", '
        f'signature="{text}"',
        **body,
    }


def why_not_signed(body: Mapping[str, object], key: VerifyKey, now: datetime) -> str | None:
    """`err.signature.…` where the signature is missing, another's, or holds no more; None where it holds."""
    text = body.get("signature")
    if not isinstance(text, str) or not text:
        return "err.signature.missing"
    fields = dict(_FIELD.findall(text))
    try:
        created, expires = int(fields["created"]), int(fields["expires"])
        signature = base64.b64decode(fields["signature"], validate=True)
        key.verify(_to_sign(body, created, expires), signature)
    except (BadSignatureError, KeyError, ValueError):
        return "err.signature.invalid"
    return None if created - HOLDS_S <= now.timestamp() < expires else "err.signature.invalid"


def _header(action: str, id: str, count: int, sides: Sides, now: datetime) -> dict[str, object]:
    return {
        "version": VERSION,
        "message_id": f"{action}-{id}",
        "message_ts": now.isoformat(timespec="seconds"),
        "action": action,
        "sender_id": sides.sender,
        "sender_uri": f"{sides.callback_url}/on-disburse",
        "receiver_id": sides.receiver,
        "total_count": count,
        "is_msg_encrypted": False,
    }


def _address(pay_to: PayTo) -> str:
    account = pay_to.account
    if account is None:
        raise ValueError("a payee without an account can't be paid by G2P Connect")
    return f"account:{account.number}@{account.provider}"


def _riel(each: Status) -> tuple[int | None, str | None]:
    if each.currency_code not in (None, CURRENCY):
        return None, f"currency: {CURRENCY} expected"
    if each.amount is None:
        return None, None
    known = _AMOUNT.fullmatch(each.amount)
    if known is None:
        return None, "amount: not as the interface writes it"
    return (None, "amount: a fraction of a riel") if int(known[2]) else (int(known[1]), None)


def _to_sign(body: Mapping[str, object], created: int, expires: int) -> bytes:
    """Header and message as JSON with sorted keys and no spaces, hashed (BLAKE2b), between two times."""
    signed_part: Iterable[tuple[str, object]] = ((name, body.get(name)) for name in ("header", "message"))
    plain = json.dumps(dict(signed_part), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = base64.b64encode(hashlib.blake2b(plain.encode()).digest()).decode()
    return f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}".encode()
