"""How payment partners are told and heard: one module per way of talking."""

from collections.abc import Sequence

from contracts.household import Payee


def route(partners: Sequence[str], payee: Payee) -> str:
    """The partner that holds the payee's account, else the first, which pays out in cash."""
    provider = payee.account.provider if payee.account else None
    return provider if provider is not None and provider in partners else partners[0]
