"""What there is to decide of a household on which days, by the cycles and the programmes in force. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache

from contracts.eligibility import SEALED_TOGETHER
from services.eligibility.cycles import Cycle, governing
from services.eligibility.packages import Judgement, Panel
from services.eligibility.programmes import Programme
from services.eligibility.referrals import Services
from services.eligibility.scoring import Occasion
from services.eligibility.sittings import Sitting, sitting

PHNOM_PENH = timezone(timedelta(hours=7))
REMEMBERED = 4096


class Agenda:
    """Sittings under these cycles."""

    def __init__(self, panel: Panel, cycles: Sequence[Cycle], services: Services) -> None:
        """`services` are asked beside the programmes."""
        self._panel = panel
        self._services = services
        self._cycles: dict[str, list[Cycle]] = {}
        for cycle in cycles:
            self._cycles.setdefault(cycle.programme, []).append(cycle)
        self._found: dict[tuple[datetime, date], Sitting] = {}

    def sitting(self, registered_at: datetime, today: date) -> Sitting:
        """For who registered at a time: programmes with a cycle on the cycle's day, others in force today.

        Sensitive programmes are decided for a cycle only, their own or the one that pays them together: what
        need not be told of them is not.
        """
        # Households of a file's chunk registered at the same time. No `lru_cache`: it would hold its Agenda.
        found = self._found.get((registered_at, today))
        if found is None:
            judgements = tuple(self._judge(registered_at, today))
            found = self._found[registered_at, today] = sitting(
                self._panel, self._services, judgements, today
            )
        return found

    def _judge(self, registered_at: datetime, today: date) -> Iterator[Judgement]:
        in_force = self._panel.in_force(today)
        for name, programme in self._panel.programmes.items():
            if (cycle := governing(self._cycles_for(programme), registered_at)) is not None:
                day = cycle.reference_date
                occasion = Occasion(day, cycle.cycle_id, cycle.period)
                yield Judgement(programme, occasion, (day_of(registered_at) - day).days)
            elif name in in_force and name not in self._panel.sensitive:
                yield Judgement(programme, Occasion(today))

    def _cycles_for(self, programme: Programme) -> Sequence[Cycle]:
        """Its own cycles; of a sensitive one that is no draft, also those in which such are paid together."""
        together = programme.document.sensitive and not programme.document.draft
        names = (programme.id, SEALED_TOGETHER) if together else (programme.id,)
        return [cycle for name in names for cycle in self._cycles.get(name, ())]


@lru_cache(REMEMBERED)
def day_of(time: datetime) -> date:
    """The day in Phnom Penh."""
    return time.astimezone(PHNOM_PENH).date()
