"""All that payments answers over HTTP."""

from fastapi import APIRouter

from services.payments import (
    api,
    api_attempts,
    api_callbacks,
    api_cancelling,
    api_corrections,
    api_holds,
    api_ledger,
    api_partners,
    api_payees,
    api_payrolls,
    api_preview,
    api_reconciliation,
    api_reversals,
)
from services.payments.handlers import Office


def of(office: Office) -> APIRouter:
    """Every route; `office` holds the keys and the partners."""
    router = APIRouter()
    for part in (
        api,
        api_attempts,
        api_callbacks,
        api_corrections,
        api_holds,
        api_ledger,
        api_partners,
        api_payees,
        api_payrolls,
        api_preview,
        api_reconciliation,
        api_reversals,
    ):
        router.include_router(part.router)
    router.include_router(api_cancelling.router(office))
    router.include_router(api_holds.placing(office.digest))
    return router
