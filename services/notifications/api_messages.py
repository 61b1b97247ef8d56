"""What notifications answers about SMS that came in, to those who work on complaints or for protection."""

from base64 import b64encode
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from postbox.callers import Caller, allowed
from postbox.problems import Problem
from services.notifications import answers, store_messages

router = APIRouter(tags=["messages"])
Reading = Annotated[Caller, Depends(allowed("messages.read"))]
Protecting = Annotated[Caller, Depends(allowed("protection.read"))]


@router.get("/messages/{message_id}")
async def message(
    request: Request, message_id: Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")], _: Reading
) -> dict[str, object]:
    """A message that is no one household's, with its text; what a household wrote is with registration."""
    service = request.app.state.service
    async with service.db.acquire() as db:
        found = (await store_messages.find(db, [message_id])).get(message_id)
    if found is None or found.text is None:
        raise Problem(404, "No such message with a text here", "Ask registration for a household's own.")
    return {
        "message_id": message_id,
        "kind": found.kind,
        "received_at": found.received_at,
        "text": answers.unseal(service.state.inbox.master, message_id, found.text),
    }


@router.get("/protection/requests")
async def protection_requests(request: Request, caller: Protecting) -> list[dict[str, str]]:
    """Requests for help against violence, sealed to the protection role's key; each reading is kept."""
    async with request.app.state.service.db.acquire() as db, db.transaction():
        found = await store_messages.protection_requests(db, caller.name)
    return [{"request_id": known_as, "sealed": b64encode(sealed).decode()} for known_as, sealed in found]


@router.get("/protection/readings")
async def protection_readings(request: Request, _: Protecting) -> list[dict[str, object]]:
    """Who read requests for help, how many, and when."""
    async with request.app.state.service.db.acquire() as db:
        return await store_messages.protection_readings(db)
