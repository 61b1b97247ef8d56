"""Which part of a long SMS a deliver_sm says it is."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest
import smpp34

from services.notifications.gateways import smpp_wire
from services.notifications.gateways.inbound import Part

WORDS = "ឈប់".encode("utf-16-be")
UDH = 0x40


def delivered(
    octets: bytes = WORDS, esm_class: int = 0, parameters: Mapping[str, bytes] = MappingProxyType({})
) -> smpp_wire.Delivered:
    tags = {"reference": 0x020C, "of": 0x020E, "number": 0x020F}
    told = smpp34.DeliverSm(
        "85512345678",
        "1286",
        octets,
        source_addr_ton=1,
        esm_class=esm_class,
        data_coding=8,
        tlvs=[smpp34.Tlv(tags[name], value) for name, value in parameters.items()],
        sequence_number=1,
    )
    found = smpp_wire.deliver_sm(told.encode())
    assert isinstance(found, smpp_wire.Delivered)
    return found


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("05 00 03 2a 03 02", Part("0/2a", 2, 3)),
        ("06 08 04 01 2a 03 01", Part("8/012a", 1, 3)),
        # Ports before it, as some telephones write.
        ("0b 05 04 00 00 00 00 00 03 2a 02 02", Part("0/2a", 2, 2)),
        # None of these can be one of several.
        ("05 00 03 2a 01 01", None),
        ("05 00 03 2a 03 00", None),
        ("05 00 03 2a 03 04", None),
        ("05 00 09 2a 03 01", None),
        ("01 00", None),
        ("00", None),
    ],
)
def test_a_header_says_which_part_it_is_and_is_no_part_of_the_text(header: str, part: Part | None) -> None:
    found = delivered(bytes.fromhex(header) + WORDS, UDH)
    assert (found.octets, found.part) == (WORDS, part)


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"reference": b"\x01\x2a", "of": b"\x03", "number": b"\x02"}, Part("sar/012a", 2, 3)),
        ({"reference": b"\x01\x2a", "of": b"\x03"}, None),
        ({"reference": b"\x01\x2a", "of": b"", "number": b"\x02"}, None),
        ({"reference": b"\x01\x2a", "of": b"\x02", "number": b"\x03"}, None),
    ],
)
def test_optional_parameters_say_which_part_it_is(parameters: dict[str, bytes], part: Part | None) -> None:
    assert delivered(parameters=parameters).part == part
