"""What notifications would say, and what it said, in numbers: templates, previews, statistics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.notifications import store_stats
from services.notifications.costs import Prices, cost
from services.notifications.steps import STEPS
from services.notifications.wording import ACCOUNT_DIGITS, Facts, Text, Wording

Reader = Annotated[Caller, Depends(allowed("read"))]
Period = Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


def router(wording: Wording, prices: Prices) -> APIRouter:
    """The routes under `/words` and `/stats`; `prices` are riel a segment by operator."""
    routes, desk = APIRouter(tags=["notifications"]), _Desk(wording, prices)
    routes.get("/words")(desk.templates)
    routes.get("/words/{template}")(desk.preview)
    routes.get("/stats")(desk.stats)
    return routes


@dataclass(frozen=True)
class _Desk:
    wording: Wording
    prices: Prices

    async def templates(self, _: Reader) -> list[dict[str, object]]:
        """Every form of every template with its longest realistic values."""
        return [
            {
                **place._asdict(),
                "segments_max": form.segments_max,
                **_measured(self.wording.longest(place, form), self.prices),
            }
            for place, form in self.wording.forms()
        ]

    async def preview(
        self,
        template: str,
        _: Reader,
        *,
        language: str = "km",
        full: bool = False,
        programme: str = "",
        partner: str = "",
        period: Period = "2023-06",
        amount: Annotated[int, Query(ge=0, le=10**9)] = 176_000,
        until: date = date(2023, 7, 1),
        account: Annotated[str, Query(pattern=r"^\d*$", max_length=30)] = "",
    ) -> dict[str, object]:
        """One template with these values, as a household would read it. 404 for one there is not."""
        if (template, language) not in self.wording.templates:
            known = f"Templates: {', '.join(STEPS)}; languages: {', '.join(self.wording.names)}."
            raise Problem(404, f"There is no {template} in {language}", known)
        facts = Facts(programme, partner, period, amount, until, account[-ACCOUNT_DIGITS:] or None)
        text = self.wording.render(template, language, full=full, facts=facts)
        return {"template": template, "language": language, **_measured(text, self.prices)}

    async def stats(self, request: Request, _: Reader) -> dict[str, object]:
        """SMS by operator and province, with segments and their cost; numbers that ask for silence now."""
        async with request.app.state.service.db.acquire() as db:
            rows = await store_stats.by_operator_and_province(db)
            silent = await store_stats.opted_out(db)
        counted = [{**row, "cost_riel": cost(self.prices, row["operator"], row["segments"])} for row in rows]
        return {"numbers_opted_out": silent, "sms": counted}


def _measured(text: Text, prices: Prices) -> Mapping[str, object]:
    encoding, units, total = text.segments
    by_operator = {operator: price * total for operator, price in prices.items()}
    return {
        "encoding": encoding,
        "units": units,
        "segments": total,
        "cost_riel": cost(prices, None, total),
        "cost_riel_by_operator": by_operator,
        "text": text.text,
    }
