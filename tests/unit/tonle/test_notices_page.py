"""What hangs at a commune office: a page in Khmer and English, and the same as rows."""

from tonle.notices_page import Notice, Notices, Words, page, rows

TOLD = Notices(
    "2026-11-27",
    Words("Ou Beichoan", "អូរបីជាន់"),
    [
        Notice(
            "<DESK-1>",
            "collect",
            "2026-12-20",
            Words("any Wing agent", "ភ្នាក់ងារវីង"),
            Words("20 December 2026", "ថ្ងៃទី២០ ធ្នូ ២០២៦"),
        ),
        Notice("DESK-2", "ask", "2026-11-20", Words("any Wing agent", "ភ្នាក់ងារវីង"), Words("", "")),
    ],
)


def test_the_page_is_in_khmer_first_says_where_and_until_when_and_fetches_nothing() -> None:
    written = page(TOLD)
    assert '<html lang="km">' in written
    assert "&lt;DESK-1&gt;" in written
    assert "ភ្នាក់ងារវីង" in written
    assert "ថ្ងៃទី២០ ធ្នូ ២០២៦" in written
    assert not any(word in written for word in ("http", "src=", "@import", "url(", "<script"))


def test_who_should_ask_is_not_told_why_nor_until_when() -> None:
    header, first, second = rows(TOLD)
    assert dict(zip(header, first, strict=True))["until"] == "2026-12-20"
    asked = dict(zip(header, second, strict=True))
    assert (asked["where"], asked["until"]) == ("Please ask at the commune office", "")
    assert "2026-11-20" not in page(TOLD)


def test_a_list_of_nobody_says_so() -> None:
    assert "There is nothing to tell today." in page(TOLD._replace(notices=[]))
