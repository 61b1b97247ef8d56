"""What may go wrong with one message, and whether waiting helps.

An error class declares its `handling`: `park` (a person must look) or `wait` (tried again by itself until a
deadline). Anything else that a rule raises parks too, with the class's name as its reason.
"""

from typing import ClassVar, Literal

Handling = Literal["park", "wait"]


class Park(Exception):
    """This message can't be handled; its text is the reason, and never holds a person's data."""

    handling: ClassVar[Handling] = "park"


class Wait(Exception):
    """This message can't be handled yet; it is tried again until a deadline, then parks."""

    handling: ClassVar[Handling] = "wait"


def handling_of(error: Exception) -> Handling:
    """What an error class declares; undeclared ones park."""
    return "wait" if getattr(error, "handling", "park") == "wait" else "park"


def reason_of(error: Exception) -> str:
    """The reason to write down: the text where the class declares its handling, else the class's name."""
    return str(error) if hasattr(error, "handling") else f"error: {type(error).__name__}"
