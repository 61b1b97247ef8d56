"""What the lab tells: sums as the public may read them, without small counts. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from services.eligibility.lab.proposals import Proposal
from services.eligibility.lab.shapes import SIDES
from services.eligibility.poverty import LINE, SCORECARD
from services.eligibility.suppression import ROUNDED_TO, THRESHOLD, shown

Row = Mapping[str, object]
RIEL_MULTIPLE = 100


class Judged(NamedTuple):
    """One day: the sums over everybody, and how many households could not be read, by why."""

    on: date
    everyone: Row
    unread: Mapping[str, int]


def day(judged: Judged) -> dict[str, object]:
    """One day's line."""
    return {"on": judged.on.isoformat(), **group(judged.everyone), "unread": dict(judged.unread)}


def group(row: Row) -> dict[str, object]:
    """A group's counts, each None where it is too small, with riel that tell no more than these."""
    told: dict[str, object] = {
        "group": row.get("name"),
        "households": shown(_whole(row.get("households"))),
        "people": shown(_whole(row.get("people"))),
    }
    for name, riel in (("gaining", "gained_riel"), ("losing", "lost_riel")):
        told[name] = _sum(row, name, riel)
    for side in SIDES:
        told[side] = _sum(row, f"{side}_households", f"{side}_riel", f"{side}_people")
    return told


def tables(proposal: Proposal, sums: Mapping[str, Sequence[Row]]) -> list[dict[str, object]]:
    """The groups of each dimension; of a proposal about a sensitive programme, everyone together alone."""
    return [
        {"dimension": dimension, "groups": [group(row) for row in rows if row["name"] is not None]}
        for dimension, rows in sums.items()
        if dimension == "everyone" or not proposal.names_a_sensitive_programme
    ]


def programmes(proposal: Proposal, sums: Sequence[Row]) -> list[dict[str, object]]:
    """Each programme that pays on either side, and each that is proposed."""
    found: dict[str, dict[str, Row]] = {name: {} for name in proposal.changed}
    for row in sums:
        found.setdefault(str(row["programme"]), {})[str(row["side"])] = row
    nothing = {"households": 0, "people": 0, "riel": 0}
    return [
        {
            "id": name,
            "name": proposal.proposed.programmes[name].document.name.model_dump(),
            "changed": name in proposal.changed,
            "hash": proposal.proposed.programmes[name].hash,
            **{side: _sum(sides.get(side, nothing), "households", "riel", "people") for side in SIDES},
        }
        for name, sides in sorted(found.items())
    ]


def targeting(everyone: Row) -> dict[str, object]:
    """Reached and missed of those likely poor by the scorecard; each figure from the least to the most.

    Exclusion: of the poor, the share who get nothing. Inclusion: of those who get something, the share who
    are not poor.
    """
    poor = _range(everyone, "poor")
    return {
        "scorecard": SCORECARD,
        "line": LINE,
        "poor_households": _shown_range(poor),
        **{side: _errors(everyone, side, poor) for side in SIDES},
    }


def _errors(everyone: Row, side: str, poor: tuple[float, float]) -> dict[str, object]:
    reached = _range(everyone, f"{side}_poor")
    households = _whole(everyone.get(f"{side}_households"))
    missed = (poor[0] - reached[0], poor[1] - reached[1])
    return {
        "poor_reached": _shown_range(reached),
        "exclusion_percent": list(
            _percents((missed[0], missed[0] + reached[1]), (missed[1], missed[1] + reached[0]))
        ),
        "inclusion_percent": list(
            _percents((households - reached[1], households), (households - reached[0], households))
        ),
    }


def _percents(*shares: tuple[float, float]) -> Iterator[int | None]:
    for part, whole in shares:
        yield round(100 * part / whole) if whole >= THRESHOLD else None


def _range(row: Row, name: str) -> tuple[float, float]:
    lowest, highest = (row.get(f"{name}_{end}") or 0 for end in ("lowest", "highest"))
    return float(str(lowest)), float(str(highest))


def _shown_range(found: tuple[float, float]) -> list[int | None]:
    return [shown(round(each)) for each in found]


def _sum(row: Row, households: str, riel: str, people: str = "") -> dict[str, int | None]:
    """Riel are the mean, to a hundred, of as many households as are told."""
    count = _whole(row.get(households))
    told = shown(count)
    mean = round(_whole(row.get(riel)) / count / RIEL_MULTIPLE) * RIEL_MULTIPLE if count else 0
    found = {"households": told, "riel": None if told is None else told * mean}
    if people:
        found["people"] = None if told is None else shown(_whole(row.get(people)))
    return found


def _whole(value: object) -> int:
    return int(str(value or 0))


def about() -> dict[str, int]:
    """How small counts are treated."""
    return {"threshold": THRESHOLD, "rounded_to": ROUNDED_TO}
