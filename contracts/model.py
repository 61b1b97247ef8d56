"""The base of every contract: frozen, tolerant of new fields, with enums open on read and closed on write."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict

UNRECOGNISED = "__unrecognised__"


class Contract(BaseModel):
    """A frozen wire model; fields it does not know are ignored, so that a newer producer can be read."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")


class OpenEnum(StrEnum):
    """A set of words that may grow: a word not known yet reads as `UNRECOGNISED`, which is never written."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls.__members__.get("UNRECOGNISED") if isinstance(value, str) else None
