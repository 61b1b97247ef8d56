"""A sealed blob: persons' fields, readable only with the household's key (architecture, *Sealing*)."""

from base64 import urlsafe_b64encode
from json.encoder import encode_basestring
from typing import Annotated

from pydantic import Field

from contracts.model import Contract


class Sealed(Contract):
    """AES-256-GCM over one JSON document: 12-byte nonce, ciphertext, 16-byte tag; base64url on the wire.

    Associated data is `<event id>\\n<event type>`, so a blob cannot be moved to another event.
    """

    key_id: str
    blob: Annotated[bytes, Field(min_length=29)]


def sealed_json(key_id: str, blob: bytes) -> str:
    """What a `Sealed` of these is on the wire, without making one."""
    return f'{{"key_id":{encode_basestring(key_id)},"blob":"{urlsafe_b64encode(blob).decode()}"}}'
