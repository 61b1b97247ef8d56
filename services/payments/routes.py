"""All that payments answers over HTTP."""

from fastapi import APIRouter

from services.payments import api, api_attempts

router = APIRouter()
for part in (api, api_attempts):
    router.include_router(part.router)
