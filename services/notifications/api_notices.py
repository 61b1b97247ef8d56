"""What a commune's notice board says to households without a telephone."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.notifications import store_payments
from services.notifications.manners import PHNOM_PENH
from services.notifications.telling import TO_COLLECT
from services.notifications.wording import Facts, Wording

Reader = Annotated[Caller, Depends(allowed("read"))]
Commune = Annotated[str, Path(pattern=r"^\d{6}$", description="gazetteer code, leading zeros kept")]


def router(wording: Wording, now: Callable[[], datetime]) -> APIRouter:
    """The route `/notices/{commune}`; programmes without a public name are not told there either."""
    routes = APIRouter(tags=["notifications"])
    public = sorted({each for names in wording.names.values() for each in names.programmes})

    @routes.get("/notices/{commune}")
    async def notices(request: Request, commune: Commune, caller: Reader) -> dict[str, object]:
        """Who has no telephone and money to collect, or should ask: where and until when, nothing else.

        Households that wish no contact are left out, and so are amounts, programmes and names.
        """
        if not caller.covers(commune):
            raise Problem(403, "Not your area", f"{caller.name} may look at communes of {caller.area}….")
        today = now().astimezone(PHNOM_PENH).date()
        async with request.app.state.service.db.acquire() as db:
            found = await store_payments.without_phone(db, commune, today, public)
        return {
            "commune": commune,
            "as_of": today,
            "notices": [
                {
                    "household_id": each.household_id,
                    "what": "collect" if each.state in TO_COLLECT else "ask",
                    "until": each.until,
                    "where_said": _said(wording, "where", Facts(partner=each.partner)),
                    "until_said": _said(wording, "until", Facts(until=each.until)),
                }
                for each in found
            ],
        }

    return routes


def _said(wording: Wording, field: str, facts: Facts) -> dict[str, str | None]:
    return {language: wording.fields(language, facts)[field] for language in wording.names}
