"""All that eligibility answers over HTTP."""

from fastapi import APIRouter

from services.eligibility import (
    api,
    api_appeals,
    api_calendar,
    api_coverage,
    api_explanations,
    api_recomputing,
    api_referrals,
    api_scorecards,
    api_shocks,
)

router = APIRouter()
for part in (
    api,
    api_scorecards,
    api_coverage,
    api_explanations,
    api_calendar,
    api_appeals,
    api_recomputing,
    api_shocks,
    api_referrals,
):
    router.include_router(part.router)
