"""The base of every contract: frozen, tolerant of new fields, with enums open on read and closed on write."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

UNRECOGNISED = "__unrecognised__"

JSON_READ = ConfigDict(cache_strings="keys")
"""Hardly a value is said twice, so that looking for it costs more than it saves; names of fields are."""


class Contract(BaseModel):
    """A frozen wire model; fields it does not know are ignored, so that a newer producer can be read."""

    model_config = JSON_READ | ConfigDict(
        frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64"
    )


class OpenEnum(StrEnum):
    """A set of words that may grow: a word not known yet reads as `UNRECOGNISED`, which is never written."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls.__members__.get("UNRECOGNISED") if isinstance(value, str) else None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Known words as `x-extensible-enum`: whoever validates must let later words through."""
        written = handler(schema)
        enum = handler.resolve_ref_schema(written)
        enum["x-extensible-enum"] = [word for word in enum.pop("enum") if word != UNRECOGNISED]
        return written
