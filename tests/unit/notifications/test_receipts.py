"""What a delivery receipt means for its SMS, in whichever order receipts come."""

from itertools import permutations

import pytest

from services.notifications.receipts import Known, Receipt, Status, Unbooked, book

DELIVERED, FAILED, BUFFERED = Status.DELIVERED, Status.FAILED, Status.BUFFERED


def receipt(status: Status, part: str | None = None) -> Receipt:
    return Receipt(None if part else "s-1", part, status, "code")


@pytest.mark.parametrize(
    ("state", "before", "status", "after"),
    [
        ("sent", "awaited", DELIVERED, "delivered"),
        ("sent", "awaited", FAILED, "failed"),
        ("sent", "awaited", BUFFERED, Unbooked.BUFFERED),
        ("sent", None, DELIVERED, "delivered"),
        # Late: the wait had ended already.
        ("sent", "unknown", DELIVERED, "delivered"),
        ("sent", "unknown", FAILED, "failed"),
        ("sent", "delivered", DELIVERED, Unbooked.REPEATED),
        ("sent", "failed", FAILED, Unbooked.REPEATED),
        # Delivered wins, whichever came first.
        ("sent", "failed", DELIVERED, "delivered"),
        ("sent", "delivered", FAILED, Unbooked.CONTRADICTED),
        ("unknown", "awaited", DELIVERED, "delivered"),
        ("unknown", "awaited", FAILED, "failed"),
        ("failed", None, DELIVERED, "delivered"),
        # Its outcome is not written yet: the receipt waits for it.
        ("sending", None, DELIVERED, Unbooked.EARLY),
        # Not with the gateway, as far as we know: it may have been told before a second try.
        ("queued", None, FAILED, Unbooked.CONTRADICTED),
        ("queued", None, DELIVERED, "delivered"),
        ("none", None, DELIVERED, Unbooked.CONTRADICTED),
    ],
)
def test_each_receipt_has_one_meaning(
    state: str, before: str | None, status: Status, after: str | Unbooked
) -> None:
    booked = book(Known("s-1", state, before), receipt(status))
    assert (booked.receipt if isinstance(booked, Known) else booked) == after


def test_a_receipt_of_an_sms_nobody_knows_is_not_booked() -> None:
    assert book(None, receipt(DELIVERED)) is Unbooked.UNKNOWN_ID


@pytest.mark.parametrize(
    ("told", "whole"),
    [
        ((DELIVERED, DELIVERED), "delivered"),
        ((DELIVERED, FAILED), "failed"),
        ((FAILED, FAILED), "failed"),
        ((DELIVERED, BUFFERED), "awaited"),
    ],
)
def test_a_message_in_parts_is_delivered_when_all_of_them_are(told: tuple[Status, ...], whole: str) -> None:
    for order in permutations(zip(("a", "b"), told, strict=True)):
        known = Known("s-1", "sent", "awaited", parts={"a": None, "b": None})
        for part, status in order:
            booked = book(known, receipt(status, part))
            known = booked if isinstance(booked, Known) else known
        assert known.receipt == whole


def test_receipts_in_any_order_and_number_end_the_same() -> None:
    told = [receipt(status, part) for part in ("a", "b") for status in (FAILED, DELIVERED, DELIVERED)]
    ends = set()
    for order in set(permutations(told)):
        known = Known("s-1", "sent", "awaited", parts={"a": None, "b": None})
        for each in order:
            booked = book(known, each)
            known = booked if isinstance(booked, Known) else known
        ends.add((known.receipt, *sorted(known.parts.items())))
    assert ends == {("delivered", ("a", "delivered"), ("b", "delivered"))}
