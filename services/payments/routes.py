"""All that payments answers over HTTP."""

from fastapi import APIRouter

from services.payments import (
    api,
    api_attempts,
    api_callbacks,
    api_corrections,
    api_ledger,
    api_partners,
    api_preview,
    api_reconciliation,
)

router = APIRouter()
for part in (
    api,
    api_attempts,
    api_callbacks,
    api_corrections,
    api_ledger,
    api_partners,
    api_preview,
    api_reconciliation,
):
    router.include_router(part.router)
