"""Whose number it is: the operator that a prefix was given to, as libphonenumber knows it."""

from functools import lru_cache

from phonenumbers import PhoneNumber
from phonenumbers.carrier import name_for_number

OTHER = "other"
COUNTRY_CODE = 855
_PREFIX_DIGITS = len("+85512")
_SUBSCRIBER = "3456789"


def operator_of(phone: str) -> str:
    """The operator of a number (E.164), in lower case; `other` where nobody is known to have its prefix.

    By the prefix alone: a number that was ported counts with the operator it came from.
    """
    return _of_prefix(phone[:_PREFIX_DIGITS], len(phone) - _PREFIX_DIGITS)


@lru_cache(maxsize=256)
def _of_prefix(prefix: str, subscriber_digits: int) -> str:
    if not prefix.startswith(f"+{COUNTRY_CODE}"):
        return OTHER
    number = PhoneNumber(
        country_code=COUNTRY_CODE, national_number=int(prefix[4:] + _SUBSCRIBER[:subscriber_digits])
    )
    return name_for_number(number, "en").lower() or OTHER
