"""The segment tables of 3GPP TS 23.038 and TS 23.040."""

import pytest

from services.notifications.segments import BASIC, EXTENSION, Segments, measure

KHMER = "ក"
EMOJI = "😀"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("gsm-7", 0, 1)),
        ("a" * 160, Segments("gsm-7", 160, 1)),
        ("a" * 161, Segments("gsm-7", 161, 2)),
        ("a" * 306, Segments("gsm-7", 306, 2)),
        ("a" * 307, Segments("gsm-7", 307, 3)),
        ("€" * 80, Segments("gsm-7", 160, 1)),
        ("€" * 80 + "a", Segments("gsm-7", 161, 2)),
        # 153 septets are left: 152 and an escape pair that does not fit, so it opens the second segment.
        ("a" * 152 + "€" + "a" * 152, Segments("gsm-7", 306, 3)),
        ("a" * 151 + "€" + "a" * 153, Segments("gsm-7", 306, 2)),
        (KHMER * 70, Segments("ucs-2", 70, 1)),
        (KHMER * 71, Segments("ucs-2", 71, 2)),
        (KHMER * 134, Segments("ucs-2", 134, 2)),
        (KHMER * 135, Segments("ucs-2", 135, 3)),
        (EMOJI * 35, Segments("ucs-2", 70, 1)),
        (EMOJI * 36, Segments("ucs-2", 72, 2)),
        # 33 pairs fill 66 of 67 units; the 34th pair is not split, so 67 pairs need a third segment.
        (EMOJI * 66, Segments("ucs-2", 132, 2)),
        (EMOJI * 67, Segments("ucs-2", 134, 3)),
        # A bracket is two septets in GSM-7 but one unit in UCS-2.
        ("[" * 131 + EMOJI + "a", Segments("ucs-2", 134, 2)),
        ("a" * 69 + KHMER, Segments("ucs-2", 70, 1)),
        ("amount 80.000 ៛", Segments("ucs-2", 15, 1)),
    ],
)
def test_a_text_takes_the_segments_that_the_standard_says(text: str, expected: Segments) -> None:
    assert measure(text) == expected


def test_the_alphabet_has_its_127_characters_and_the_extension_its_ten() -> None:
    assert (len(BASIC), len(set(BASIC))) == (127, 127)
    assert (len(EXTENSION), len(set(EXTENSION))) == (10, 10)
    assert not set(BASIC) & set(EXTENSION)


@pytest.mark.parametrize("character", ["`", "ç", "ê", "’", "–", "\t", "\u200b", "៛"])
def test_a_character_outside_the_alphabet_turns_the_whole_text_into_ucs_2(character: str) -> None:
    assert measure("plain " + character).encoding == "ucs-2"
