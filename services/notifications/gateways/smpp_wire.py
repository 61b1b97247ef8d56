"""SMPP 3.4 on the wire (SMPP Developers Forum, issue 1.2): what a session says and hears, as bytes.

The long PDUs and their optional parameters are the codec's (smpp34); a header and a few C-strings are ours.
"""

import re
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import NamedTuple

import smpp34

from services.notifications.gateways import inbound
from services.notifications.receipts import Receipt, Status
from services.notifications.segments import BASIC, EXTENSION, Encoding

HEADER = Struct(">IIII")
PDU_BYTES_MAX = 70 * 1024
"""A message_payload of 64 KB and what comes before it."""

RESPONSE = 0x80000000
GENERIC_NACK = RESPONSE
_SAR = (0x020C, 0x020E, 0x020F)
RECEIPTED_MESSAGE_ID, MESSAGE_PAYLOAD, MESSAGE_STATE = 0x001E, 0x0424, 0x0427
QUERY_SM, SUBMIT_SM, DELIVER_SM, UNBIND = 0x03, 0x04, 0x05, 0x06
BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER, ENQUIRE_LINK = 0x01, 0x02, 0x09, 0x15

OK = 0x00
MESSAGE_QUEUE_FULL, THROTTLED, SYSTEM_ERROR = 0x14, 0x58, 0x08
TRY_AGAIN, NEVER_AGAIN = 0x64, 0x65
"""Of a deliver_sm we could not keep, and of one nobody can read (ESME_RX_T_APPN, ESME_RX_R_APPN)."""
INVALID_COMMAND = 0x03

MESSAGE_STATES: Mapping[int, Status] = {
    1: Status.BUFFERED, 2: Status.DELIVERED, 3: Status.FAILED, 4: Status.FAILED,
    5: Status.FAILED, 6: Status.BUFFERED, 7: Status.BUFFERED, 8: Status.FAILED,
}  # fmt: skip
"""message_state (5.2.28): enroute, delivered, expired, deleted, undeliverable, accepted, unknown, refused."""
_WORDS: Mapping[bytes, int] = {
    b"ENROUTE": 1, b"DELIVRD": 2, b"EXPIRED": 3, b"DELETED": 4,
    b"UNDELIV": 5, b"ACCEPTD": 6, b"UNKNOWN": 7, b"REJECTD": 8,
}  # fmt: skip
_RECEIPT = re.compile(rb"id:\s*([!-~]{1,65})\s.*?stat:\s*([A-Z]{7})", re.DOTALL)
_CODINGS: Mapping[int, str] = {0: "gsm-7", 1: "ascii", 3: "latin-1", 8: "utf-16-be"}

_INTERNATIONAL, _ALPHANUMERIC, _ISDN = 1, 5, 1
_UDH, _IS_RECEIPT, _KIND = 0x40, 0x04, 0x3C
_ESCAPE, _HIGH_SURROGATE = 0x1B, 0xD8
WANTS_RECEIPT = 1
_ROOM: Mapping[Encoding, tuple[int, int]] = {"gsm-7": (160, 153), "ucs-2": (140, 134)}
_DATA_CODING: Mapping[Encoding, int] = {"gsm-7": 0, "ucs-2": 8}
# The escape lies at 0x1B, between what BASIC holds before and after it.
_SEPTETS = {character: bytes([place + (place >= 0x1B)]) for place, character in enumerate(BASIC)} | {
    character: bytes([0x1B, code])
    for character, code in zip(EXTENSION, b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", strict=True)
}


class Part(NamedTuple):
    """The octets of one submit_sm; `headed`: they begin with a concatenation header."""

    octets: bytes
    headed: bool = False


class Unreadable(ValueError):
    """A PDU that says nothing we could use; its text is a short code."""


def whole(text: str, encoding: Encoding) -> bytes:
    """A text as octets: a septet each, or UTF-16. Raises `KeyError` for what GSM-7 does not have."""
    return b"".join(map(_SEPTETS.__getitem__, text)) if encoding == "gsm-7" else text.encode("utf-16-be")


def parts(text: str, encoding: Encoding, reference: int) -> list[Part]:
    """A text as the octets of its segments, headed where there are several (TS 23.040, 9.2.3.24.1).

    No character is split, be it an escape pair or a surrogate pair. `reference` (0..255) tells which belong
    together.
    """
    octets = whole(text, encoding)
    single, joined = _ROOM[encoding]
    if len(octets) <= single:
        return [Part(octets)]
    cut = list(_cut(octets, joined, encoding))
    header = bytes((5, 0, 3, reference, len(cut)))
    return [Part(header + bytes((number,)) + octets, True) for number, octets in enumerate(cut, 1)]


def _cut(octets: bytes, room: int, encoding: Encoding) -> Iterator[bytes]:
    at = 0
    while len(octets) - at > room:
        end = at + room
        if encoding == "gsm-7":
            end -= octets[end - 1] == _ESCAPE
        elif octets[end - 2] & 0xFC == _HIGH_SURROGATE:
            end -= 2
        yield octets[at:end]
        at = end
    yield octets[at:]


def submit_sm(sequence: int, sender: str, phone: str, encoding: Encoding, part: Part) -> bytes:
    """One part on its way to `phone` (E.164), with its receipt asked for."""
    fits = len(part.octets) <= 254
    return bytes(
        smpp34.SubmitSm(
            sender,
            phone.removeprefix("+"),
            part.octets if fits else b"",
            source_addr_ton=0 if sender.isdigit() else _ALPHANUMERIC,
            source_addr_npi=_ISDN if sender.isdigit() else 0,
            dest_addr_ton=_INTERNATIONAL,
            dest_addr_npi=_ISDN,
            esm_class=_UDH if part.headed else 0,
            registered_delivery=WANTS_RECEIPT,
            data_coding=_DATA_CODING[encoding],
            tlvs=[] if fits else [smpp34.Tlv(MESSAGE_PAYLOAD, part.octets)],
            sequence_number=sequence,
        ).encode()
    )


def bind(command: int, sequence: int, user: str, password: str) -> bytes:
    """One of the binds, as version 3.4 with no address range."""
    body = b"%b\0%b\0\0\x34\0\0\0" % (user.encode("ascii"), password.encode("ascii"))
    return pdu(command, sequence, body)


def query_sm(sequence: int, message_id: str, sender: str) -> bytes:
    """Ask what became of a message."""
    ton_npi = b"\0\x01" if sender.isdigit() else b"\x05\0"
    return pdu(QUERY_SM, sequence, b"%b\0%b%b\0" % (message_id.encode(), ton_npi, sender.encode()))


def pdu(command: int, sequence: int, body: bytes = b"", status: int = OK) -> bytes:
    """A PDU: its header and its body."""
    return HEADER.pack(16 + len(body), command, status, sequence) + body


def message_id(body: bytes) -> str:
    """The id of a submit_sm_resp. Raises `Unreadable`."""
    found, end, _ = body.partition(b"\0")
    if not end or not found or len(found) > 65:
        raise Unreadable("message_id")
    return found.decode("latin-1")


def queried(message_id: str, body: bytes) -> Receipt | None:
    """What a query_sm_resp says: id, final date, message state, error code. None where it is not decided."""
    _, _, rest = body.partition(b"\0")
    _, _, rest = rest.partition(b"\0")
    status = MESSAGE_STATES.get(rest[0]) if rest else None
    if status is None or status is Status.BUFFERED:
        return None
    return Receipt(None, message_id, status, f"query-{rest[0]}")


class Delivered(NamedTuple):
    """A deliver_sm that is no receipt: who wrote to whom, the octets without their header, their encoding.

    `part` is set where it is one of several.
    """

    sender: str
    recipient: str
    octets: bytes
    encoding: str
    part: inbound.Part | None


def deliver_sm(whole: bytes) -> Receipt | Delivered:
    """A delivery receipt or an inbound SMS. Raises `Unreadable`."""
    try:
        told = smpp34.decode(whole)
    except smpp34.SmppError:
        raise Unreadable("deliver_sm") from None
    if not isinstance(told, smpp34.DeliverSm):
        raise Unreadable("deliver_sm")
    optional = {each.tag: each for each in told.tlvs}
    payload = optional.get(MESSAGE_PAYLOAD)
    octets = told.short_message or (payload.value if payload else b"")
    if told.esm_class & _KIND == _IS_RECEIPT:
        return _receipt(octets, optional)
    part = _by_parameters(optional)
    if told.esm_class & _UDH and octets:
        header, octets = octets[1 : 1 + octets[0]], octets[1 + octets[0] :]
        part = _by_header(header) or part
    number = f"+{told.source_addr}" if told.source_addr_ton == _INTERNATIONAL else told.source_addr
    coding = _CODINGS.get(told.data_coding, "binary")
    return Delivered(number, told.destination_addr, octets, coding, part)


def _by_header(header: bytes) -> inbound.Part | None:
    """Which part it is by its user data header: 8-bit or 16-bit reference (TS 23.040, 9.2.3.24.1 and .8)."""
    at = 0
    while at + 2 <= len(header):
        element, length = header[at], header[at + 1]
        said = header[at + 2 : at + 2 + length]
        if (element, length, len(said)) in ((0x00, 3, 3), (0x08, 4, 4)):
            return _part(f"{element:x}/{said[:-2].hex()}", of=said[-2], number=said[-1])
        at += 2 + length
    return None


def _by_parameters(optional: Mapping[int, smpp34.Tlv]) -> inbound.Part | None:
    """Which part it is by `sar_msg_ref_num`, `sar_total_segments`, `sar_segment_seqnum` (5.3.2.22 to .24)."""
    reference, of, number = (optional.get(tag) for tag in _SAR)
    if reference is None or of is None or number is None or not (of.value and number.value):
        return None
    return _part(f"sar/{reference.value.hex()}", of=of.value[-1], number=number.value[-1])


def _part(reference: str, *, of: int, number: int) -> inbound.Part | None:
    """What can be no part of several is taken for a whole."""
    return inbound.Part(reference, number, of) if of > 1 and 1 <= number <= of else None


def _receipt(octets: bytes, optional: Mapping[int, smpp34.Tlv]) -> Receipt:
    """By its optional parameters where it has them, else by its text (appendix B)."""
    text = _RECEIPT.search(octets)
    named, state = optional.get(RECEIPTED_MESSAGE_ID), optional.get(MESSAGE_STATE)
    theirs = named.value.rstrip(b"\0") if named else text[1] if text else b""
    code = (state.as_int() if state else None) or (_WORDS.get(text[2]) if text else None) or 0
    status = MESSAGE_STATES.get(code)
    if not theirs or len(theirs) > 65 or status is None:
        raise Unreadable("receipt")
    return Receipt(None, theirs.decode("latin-1"), status, f"smpp-{code}")
