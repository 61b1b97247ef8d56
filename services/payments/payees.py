"""Who collects, as far as a change of it must not pass unseen. Pure."""

from contracts.household import Payee
from services.payments.holds import account_of


def written(payee: Payee) -> str:
    """Name, telephone and account as one text: the same however names are spaced, whatever the key it is
    sealed under, and whatever language the household is told in."""
    names = (" ".join(name.casefold().split()) for name in (payee.name_km, payee.name_latin))
    return "\n".join((*names, payee.phone or "", account_of(payee) or ""))
