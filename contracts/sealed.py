"""A sealed blob: persons' fields, readable only with the household's key (architecture, *Sealing*)."""

from typing import Annotated

from pydantic import Field

from contracts.model import Contract


class Sealed(Contract):
    """AES-256-GCM over one JSON document: 12-byte nonce, ciphertext, 16-byte tag; base64url on the wire.

    Associated data is `<event id>\\n<event type>`, so a blob cannot be moved to another event.
    """

    key_id: str
    blob: Annotated[bytes, Field(min_length=29)]
