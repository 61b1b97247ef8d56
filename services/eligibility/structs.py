"""How the JSON of sealed persons is read: into structs that pass over all they do not name. Pure.

`docs/decisions/0058-persons-are-read-into-structs.md` says why these are no contracts.
"""

from functools import lru_cache
from typing import TypeVar

from msgspec import DecodeError
from msgspec import Struct as _Struct
from msgspec.json import Decoder

from contracts.wire import WireError


class Struct(_Struct, frozen=True):
    """A frozen record; its enums are open (`OpenEnum`), so that no refusal repeats a word it was given."""


S = TypeVar("S", bound=Struct)


def read(kind: type[S], plain: bytes) -> S:
    """JSON to a struct, no type coerced. Raises `WireError` with the offending field, never its value."""
    try:
        found: S = _decoder(kind).decode(plain)
    except DecodeError as error:
        raise WireError(str(error)) from None
    return found


@lru_cache(maxsize=32)
def _decoder(kind: type[S]) -> Decoder[S]:
    return Decoder(kind)
