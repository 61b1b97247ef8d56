"""The simulated gateway by SMPP 3.4: an SMSC; what it tells goes to transceivers and receivers."""

import asyncio
from collections.abc import Callable, Mapping
from struct import Struct
from typing import NamedTuple, Protocol, cast
from uuid import uuid4

import smpp34

HEADER = Struct(">IIII")
RESPONSE = 0x80000000
BINDS = {0x01: (False, True), 0x02: (True, False), 0x09: (True, True)}
"""Receiver, transmitter, transceiver: whether it may submit, and whether it is told anything."""
UNBIND, SUBMIT_SM, DELIVER_SM = 0x06, 0x04, 0x05
ENQUIRE_LINK, QUERY_SM = 0x15, 0x03
OK, INVALID_COMMAND, BIND_FAILED, THROTTLED, NO_SUCH_MESSAGE = 0x00, 0x03, 0x0D, 0x58, 0x67
PDU_BYTES_MAX = 70 * 1024
_UDH, _UCS_2, _RECEIPT = 0x40, 8, 0x04
_STATES = {"delivered": 2, "failed": 5}
_WORDS = {"delivered": b"DELIVRD", "failed": b"UNDELIV"}
# TS 23.038, 6.2.1; the escape is not used by itself.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", "\f^{}\\[~]|€", strict=True))


class Submitted(NamedTuple):
    """A whole message as it was submitted, with the ids of those of its parts that want a receipt."""

    message_id: str
    to_report: tuple[str, ...]
    recipient: str
    sender: str
    text: str
    coding: int


class Part(NamedTuple):
    """Which part of a long SMS it is; `by`: `udh8` or `udh16`, headers with such a reference, or `sar`."""

    by: str
    reference: int
    number: int
    of: int


class Smsc(Protocol):
    """What a conversation needs of the simulator behind it."""

    def may_enter(self, user: str, password: str) -> bool:
        """Whether this is a login."""

    def take(self, submitted: Submitted, say: Callable[[int], object], lose: Callable[[], object]) -> None:
        """Answers with a command status, now or later, or loses the line."""


class Lines(Protocol):
    """What is told to whoever is bound."""

    def became(self, message_id: str) -> str | None:
        """`delivered`, `failed`, or None where nothing is known of such a message."""

    def entered(self, conversation: "SmppConversation") -> None: ...
    def left(self, conversation: "SmppConversation") -> None: ...
    def acknowledged(self, conversation: "SmppConversation", sequence: int, status: int) -> None: ...


class SmppConversation(asyncio.Protocol):
    """One connection. Parts of a message are acknowledged as they come, the last once all of it is kept."""

    def __init__(self, smsc: Smsc, lines: Lines) -> None:
        self._smsc = smsc
        self._lines = lines
        self._rest = b""
        self._submits = self._hears = False
        self._parts: dict[tuple[str, bytes], dict[int, tuple[str, bytes]]] = {}
        self._sequence = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._lines.left(self)

    def data_received(self, data: bytes) -> None:
        told, at = self._rest + data, 0
        while len(told) - at >= HEADER.size and not self._transport.is_closing():
            length, command, status, sequence = HEADER.unpack_from(told, at)
            if not HEADER.size <= length <= PDU_BYTES_MAX:
                self._transport.close()
                return
            if len(told) - at < length:
                break
            self._heard(command, status, sequence, told[at : at + length])
            at += length
        self._rest = told[at:]

    @property
    def is_there(self) -> bool:
        """Whether anything can be told."""
        return self._hears and not self._transport.is_closing()

    def deliver(
        self,
        source: str,
        destination: str,
        text: bytes,
        *,
        coding: int,
        tlvs: Mapping[int, bytes],
        esm_class: int = 0,
    ) -> int:
        """Tell the other side something; gives the number it will be acknowledged by."""
        self._sequence += 1
        told = smpp34.DeliverSm(
            source,
            destination,
            text,
            source_addr_ton=1,
            source_addr_npi=1,
            esm_class=esm_class,
            data_coding=coding,
            tlvs=[smpp34.Tlv(tag, value) for tag, value in tlvs.items()],
            sequence_number=self._sequence,
        )
        self._transport.write(told.encode())
        return self._sequence

    def write(self, source: str, destination: str, text: str, part: Part | None) -> None:
        """What somebody writes, by UCS-2; a part as networks mark it: in a header, or in parameters."""
        octets, headed, tlvs = text.encode("utf-16-be"), 0, dict[int, bytes]()
        if part is not None and part.by == "sar":
            tlvs = {0x020C: part.reference.to_bytes(2, "big"), 0x020E: bytes([part.of])}
            tlvs[0x020F] = bytes([part.number])
        elif part is not None:
            octets, headed = _header(part) + octets, _UDH
        source = source.removeprefix("+")
        self.deliver(source, destination, octets, coding=_UCS_2, tlvs=tlvs, esm_class=headed)

    def report(self, message_id: str, became: str, recipient: str, sender: str) -> int:
        """A delivery receipt, by its text and its optional parameters."""
        text = (
            b"id:%b sub:001 dlvrd:001 submit date:2606010000 done date:2606010000 stat:%b err:000 text:"
            % (
                message_id.encode(),
                _WORDS[became],
            )
        )
        tlvs = {0x001E: message_id.encode() + b"\0", 0x0427: bytes([_STATES[became]])}
        source = recipient.removeprefix("+")
        return self.deliver(source, sender, text, coding=0, tlvs=tlvs, esm_class=_RECEIPT)

    def _heard(self, command: int, status: int, sequence: int, whole: bytes) -> None:
        body = whole[HEADER.size :]
        if command in BINDS:
            self._bind(command, sequence, body)
        elif command == SUBMIT_SM and self._submits:
            self._submitted(sequence, whole)
        elif command == QUERY_SM and self._submits:
            self._queried(sequence, body.partition(b"\0")[0])
        elif command == DELIVER_SM | RESPONSE:
            self._lines.acknowledged(self, sequence, status)
        elif command in (ENQUIRE_LINK, UNBIND):
            self._say(command, sequence)
        elif not command & RESPONSE:
            self._say(0, sequence, status=INVALID_COMMAND)

    def _bind(self, command: int, sequence: int, body: bytes) -> None:
        user, password, _ = body.split(b"\0", 2)
        enters = self._smsc.may_enter(user.decode("latin-1"), password.decode("latin-1"))
        self._say(command, sequence, b"simulator\0", OK if enters else BIND_FAILED)
        if enters:
            self._submits, self._hears = BINDS[command]
        if self._hears:
            self._lines.entered(self)

    def _submitted(self, sequence: int, whole: bytes) -> None:
        pdu = smpp34.decode(whole)
        assert isinstance(pdu, smpp34.SubmitSm)
        octets, message_id = pdu.short_message, uuid4().hex
        for each in pdu.tlvs:
            octets = each.value if each.tag == 0x0424 else octets
        wanted = bool(pdu.registered_delivery & 1)
        ids = [message_id] if wanted else []

        def say(status: int) -> None:
            if status == THROTTLED:
                # Only this part is offered again: the others stay.
                self._parts.setdefault(key, {}).update(others)
            self._say(SUBMIT_SM, sequence, message_id.encode() + b"\0" if status == OK else b"", status)

        key, others = (pdu.destination_addr, octets[:5]), dict[int, tuple[str, bytes]]()
        if pdu.esm_class & _UDH:
            # 05 00 03 <reference> <of> <number>
            of, number = octets[4], octets[5]
            parts = self._parts.setdefault(key, {})
            parts[number] = (message_id if wanted else "", octets[6:])
            if len(parts) < of:
                say(OK)
                return
            del self._parts[key]
            others = {each: part for each, part in parts.items() if each != number}
            ids = [part for part, _ in parts.values() if part]
            octets = b"".join(parts[each][1] for each in sorted(parts))
        text = octets.decode("utf-16-be") if pdu.data_coding == _UCS_2 else from_gsm_7(octets)
        coding = 2 if pdu.data_coding == _UCS_2 else 0
        recipient = f"+{pdu.destination_addr}"
        submitted = Submitted(message_id, tuple(ids), recipient, pdu.source_addr, text, coding)
        self._smsc.take(submitted, say, self._transport.abort)

    def _queried(self, sequence: int, message_id: bytes) -> None:
        became = self._lines.became(message_id.decode("latin-1"))
        if became is None:
            self._say(QUERY_SM, sequence, status=NO_SUCH_MESSAGE)
        else:
            self._say(QUERY_SM, sequence, message_id + b"\0\0" + bytes([_STATES[became], 0]))

    def _say(self, command: int, sequence: int, body: bytes = b"", status: int = OK) -> None:
        if not self._transport.is_closing():
            header = HEADER.pack(HEADER.size + len(body), command | RESPONSE, status, sequence)
            self._transport.write(header + body)


def _header(part: Part) -> bytes:
    """TS 23.040, 9.2.3.24.1 and 9.2.3.24.8."""
    if part.by == "udh8":
        return bytes([5, 0x00, 3, part.reference, part.of, part.number])
    return bytes([6, 0x08, 4, *part.reference.to_bytes(2, "big"), part.of, part.number])


def from_gsm_7(octets: bytes) -> str:
    """Septets, one an octet -> text."""
    text, escaped = "", False
    for octet in octets:
        if octet == 0x1B and not escaped:
            escaped = True
            continue
        text += _EXTENSION.get(octet, "?") if escaped else _BASIC[octet & 0x7F]
        escaped = False
    return text
