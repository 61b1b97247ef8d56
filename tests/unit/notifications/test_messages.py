"""An SMS that came in is read in any encoding, and understood by its words."""

from pathlib import Path

import pytest

from services.notifications import messages
from services.notifications.inbox_options import SHIPPED
from services.notifications.messages import Kind, WordsRefused

WORDS = messages.load(SHIPPED.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("STOP", Kind.STOP),
        (" stop. ", Kind.STOP),
        ("ឈប់ផ្ញើ", Kind.STOP),
        ("Start", Kind.START),
        ("HELP me please", Kind.HELP),
        ("ជួយ", Kind.HELP),
        ("complaint: the money did not come", Kind.COMPLAINT),
        ("ប្តឹង លុយមិនដល់", Kind.COMPLAINT),
        ("do not stop", Kind.OTHER),
        ("unstoppable", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_a_message_is_understood_by_the_word_it_begins_with(text: str, kind: Kind) -> None:
    assert WORDS.kind(text) is kind


@pytest.mark.parametrize("text", ["help violence", "stop the violence", "គាត់វាយដំខ្ញុំ", "hing\u200bsa ហិង្សា"])
def test_a_word_for_violence_wins_wherever_it_stands(text: str) -> None:
    assert WORDS.kind(text) is Kind.PROTECTION


@pytest.mark.parametrize(
    ("octets", "encoding", "text"),
    [
        ("ឈប់".encode(), "utf-8", "ឈប់"),
        ("ឈប់".encode("utf-16-be"), "utf-16-be", "ឈប់"),
        ("ឈប់".encode("utf-16-be"), "utf-8", "ឈប់"),
        ("ឈប់".encode("utf-16-be"), "binary", "ឈប់"),
        (b"5\x1b\x65\x02", "gsm-7", "5€$"),
        (b"\xe9t\xe9", "gsm-7", "été"),
        (b"\xff\xfe\x80 a", "utf-8", "ÿþ a"),
        (b"a\x00\x07b\r\nc", "utf-8", "ab\nc"),
        (b"x\x9c\x03\x00", "zlib", "x"),
        (b"a" * 100_000, "latin-1", "a" * messages.CHARACTERS_MOST),
    ],
)
def test_text_is_read_whatever_its_encoding_claims(octets: bytes, encoding: str, text: str) -> None:
    assert messages.read(octets, encoding) == text


def test_one_word_of_latin_letters_is_no_sign_of_english() -> None:
    assert [messages.language_of(each) for each in ("STOP", "where is it", "ok ឈប់")] == ["km", "en", "km"]


def test_a_word_that_means_two_things_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8").replace("[start,", "[stop,")
    with pytest.raises(WordsRefused, match="'stop' stands under stop and start; leave it in one"):
        messages.load(text)
