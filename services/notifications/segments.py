"""How many SMS segments a text takes (3GPP TS 23.038 alphabets, 3GPP TS 23.040 concatenation).

A segment carries 140 octets: 160 septets or 70 UCS-2 code units. A text of several segments gives 6 octets of
each to the concatenation header: 153 septets or 67 code units are left.
"""

from typing import Literal, NamedTuple

Encoding = Literal["gsm-7", "ucs-2"]

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet (TS 23.038, 6.2.1) without its escape: one septet each."""
EXTENSION = "\f^{}\\[~]|€"
"""The extension table (TS 23.038, 6.2.1.1): two septets each, escape first."""

_BASIC = frozenset(BASIC)
_EXTENSION = frozenset(EXTENSION)
_GSM_7 = _BASIC | _EXTENSION
_SINGLE: dict[Encoding, int] = {"gsm-7": 160, "ucs-2": 70}
_JOINED: dict[Encoding, int] = {"gsm-7": 153, "ucs-2": 67}


class Segments(NamedTuple):
    """`units`: septets (gsm-7) or 16-bit code units (ucs-2) of the text; `total`: segments, 1 or more."""

    encoding: Encoding
    units: int
    total: int


def measure(text: str) -> Segments:
    """The encoding a text needs and the segments it takes; an empty text takes one."""
    encoding: Encoding = "gsm-7" if _GSM_7.issuperset(text) else "ucs-2"
    if encoding == "gsm-7":
        units = len(text) + sum(map(text.count, EXTENSION))
    else:
        units = len(text.encode("utf-16-le")) // 2
    if units <= _SINGLE[encoding]:
        return Segments(encoding, units, 1)
    if units == len(text):
        return Segments(encoding, units, -(-units // _JOINED[encoding]))
    return Segments(encoding, units, _whole_characters(text, encoding))


def _whole_characters(text: str, encoding: Encoding) -> int:
    """Segments when a character of two units (an escape pair, a surrogate pair) is never split."""
    count, used, room = 1, 0, _JOINED[encoding]
    for character in text:
        units = 2 if (character in _EXTENSION if encoding == "gsm-7" else character > "\uffff") else 1
        if used + units > room:
            count, used = count + 1, 0
        used += units
    return count
