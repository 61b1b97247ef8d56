"""A proposed policy: the programmes of today with some of them replaced or added. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.eligibility import packages, programmes
from services.eligibility.packages import Panel
from services.eligibility.programmes import Programme
from services.eligibility.reading import FileRefused


@dataclass(frozen=True)
class Proposal:
    """What is compared. `changed` are the ids of the programmes proposed, `notes` what to know of them."""

    current: Panel
    proposed: Panel
    changed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names_a_sensitive_programme(self) -> bool:
        """Whether who gains or loses would tell whom a sensitive programme concerns."""
        return any(name in self.current.sensitive | self.proposed.sensitive for name in self.changed)


def propose(current: Mapping[str, Programme], files: Mapping[str, bytes]) -> Proposal:
    """A proposal from programme files by name. Raises `FileRefused` with file, line and remedy.

    A draft counts as if it were put in force; one that lacks a rate can't, and decides nothing.
    """
    found: dict[str, Programme] = {}
    for file, content in files.items():
        programme = programmes.parse(file, content)
        if programme.id in found:
            raise FileRefused(f"{file}: another file proposes {programme.id}; leave one of them out")
        found[programme.id] = programme
    in_force = {name: _put_in_force(each) for name, each in found.items()}
    together = dict(sorted({**current, **in_force}.items()))
    programmes.check_stacking(together)
    panel = Panel(together)
    notes = [line for each in found.values() for line in each.missing]
    notes += [
        f"{name}: example '{tried.name}' comes out as {tried.found}, not {tried.expected}"
        for name, each in found.items()
        for tried in packages.try_examples(panel, each)
        if tried.found != tried.expected
    ]
    return Proposal(Panel(current), panel, tuple(sorted(found)), tuple(notes))


def _put_in_force(programme: Programme) -> Programme:
    if programme.missing or not programme.document.draft:
        return programme
    return replace(programme, document=programme.document.model_copy(update={"draft": False}))
