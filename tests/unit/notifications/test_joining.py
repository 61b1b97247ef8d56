"""Parts of a long SMS: joined however they come, and in the end told as they are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import joining
from services.notifications.gateways.inbound import Inbound, Part
from services.notifications.joining import GAP, Gathered

AT = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = "ឈប់ We were promised 🙏 and nothing came"


def part(
    text: str | bytes, number: int, of: int = 3, encoding: str = "utf-16-be", minute: int = 0
) -> Inbound:
    octets = text if isinstance(text, bytes) else text.encode(encoding)
    at = AT + timedelta(minutes=minute)
    return Inbound("+85512345678", "1286", octets, encoding, None, at, Part("0/2a", number, of))


def told(*parts: Inbound) -> tuple[list[str], Gathered | None]:
    """The texts that go on, in order, and what is kept."""
    known, texts = None, list[str]()
    for each in parts:
        assert each.part is not None
        known, out = joining.take(known, each, each.part)
        texts += [whole.text.decode(whole.encoding) for whole in out]
    return texts, known


@given(st.permutations([1, 2, 3]), st.lists(st.sampled_from([1, 2, 3]), max_size=3))
def test_in_any_order_and_with_repetitions_a_message_goes_on_once(order: list[int], again: list[int]) -> None:
    octets = WORDS.encode("utf-16-be")
    cut = {1: octets[:20], 2: octets[20:41], 3: octets[41:]}
    texts, _ = told(*(part(cut[number], number) for number in [*order, *again]))
    assert texts == [WORDS]


@pytest.mark.parametrize(
    ("came", "text"),
    [((1, 2), "ab" + GAP), ((1, 3), "a" + GAP + "c"), ((2,), GAP + "b" + GAP), ((3,), GAP + "c")],
)
def test_what_never_came_is_marked(came: tuple[int, ...], text: str) -> None:
    texts, known = told(*(part("abc"[number - 1], number) for number in came))
    assert known is not None
    (ended,) = joining.end(known, AT).out
    assert (texts, ended.text.decode()) == ([], text.strip())


def test_a_part_that_comes_after_the_rest_was_told_is_told_too_and_the_others_are_known_again() -> None:
    _, known = told(part("a", 1), part("c", 3))
    assert known is not None
    known, _ = joining.end(known, AT)
    for repeated in (part("a", 1), part("c", 3)):
        assert joining.take(
            known, repeated, Part("0/2a", 1, 3) if repeated.part is None else repeated.part
        ) == (
            known,
            (),
        )
    late = part("b", 2, minute=20)
    assert late.part is not None
    known, _ = joining.take(known, late, late.part)
    assert known.begun_at == late.received_at
    (ended,) = joining.end(known, AT).out
    assert ended.text.decode() == (GAP + "b" + GAP).strip()


def test_a_reference_that_is_used_anew_ends_what_waited_and_begins_another() -> None:
    texts, _ = told(part("a", 1), part("b", 2), part("x", 1), part("y", 2), part("z", 3))
    assert texts == [("ab" + GAP).strip(), "xyz"]
    again, _ = told(
        *(part(each, n) for n, each in enumerate("abc", 1)), *(part(w, n) for n, w in enumerate("xyz", 1))
    )
    assert again == ["abc", "xyz"]


def test_each_part_is_read_in_its_own_encoding_and_two_messages_have_two_ids() -> None:
    texts, _ = told(part("a", 1), part(b"\x00b", 2, encoding="gsm-7"), part("ខ", 3))
    assert texts == ["a@bខ"]
    ids = set()
    for minute in (0, 5):
        _, out = joining.take(None, part("a", 1, 1, minute=minute), Part("0/2a", 1, 1))
        ids.add(out[0].gateway_message_id)
    assert len(ids) == 2
