"""Money: whole riel. ISO 4217 gives KHR (116) two decimals, but no subunit circulates."""

from typing import Annotated, Literal

from pydantic import Field

Riel = Annotated[int, Field(strict=True, ge=0, le=10**15, description="whole riel, never a fraction")]
Currency = Literal["KHR"]

PAYABLE_MULTIPLE_RIEL = 100
"""Payments are made in multiples of this (policy, *People and words*)."""
