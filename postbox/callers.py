"""Who calls: bearer tokens, stored hashed, limited to actions and to an area. Names come from here alone."""

import hashlib
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from asyncpg import Pool, UniqueViolationError
from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from postbox.problems import Problem

ADMIN = "admin"
ADMIN_ACTIONS = frozenset({"callers.manage", "operate", "read"})
_bearer = HTTPBearer(auto_error=False)


@dataclass(frozen=True)
class Caller:
    """A person or system known by its token. `area` is a gazetteer prefix; '' is the whole nation."""

    name: str
    actions: frozenset[str]
    area: str

    def covers(self, commune: str) -> bool:
        """Whether a commune (6 digits) lies in the caller's area."""
        return commune.startswith(self.area)


class Callers:
    """The callers of one service, kept in its own database; the admin's token comes from a file."""

    def __init__(self, db: Pool, admin_token_file: Path | None) -> None:
        self._db = db
        self._admin = _digest(admin_token_file.read_text().strip()) if admin_token_file else None

    async def find(self, token: str) -> Caller | None:
        """The caller whose token this is, unless it was revoked."""
        digest = _digest(token)
        if self._admin is not None and secrets.compare_digest(digest, self._admin):
            return Caller(ADMIN, ADMIN_ACTIONS, "")
        row = await self._db.fetchrow(
            "select name, actions, area from caller where token_sha256 = $1 and revoked_at is null", digest
        )
        return Caller(row["name"], frozenset(row["actions"]), row["area"]) if row else None

    async def add(self, name: str, actions: Sequence[str], area: str) -> str:
        """A new caller; returns its token, which is shown once and kept only hashed."""
        token = f"tonle_{secrets.token_urlsafe(32)}"
        try:
            await self._db.execute(
                "insert into caller (name, token_sha256, actions, area) values ($1, $2, $3, $4)",
                name,
                _digest(token),
                sorted(actions),
                area,
            )
        except UniqueViolationError:
            raise Problem(
                409,
                "This name is taken",
                "Choose another: a name is one token's for ever, also a revoked one's.",
            ) from None
        return token

    async def listed(self) -> list[dict[str, object]]:
        """Every caller, without tokens."""
        rows = await self._db.fetch(
            "select name, actions, area, created_at, revoked_at from caller order by name"
        )
        return [dict(row) for row in rows]

    async def revoke(self, name: str) -> None:
        """End a caller's token at once."""
        done = await self._db.execute(
            "update caller set revoked_at = now() where name = $1 and revoked_at is null", name
        )
        if done == "UPDATE 0":
            raise Problem(404, "No such caller", "List the callers and name one that is not revoked.")


def allowed(action: str) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A FastAPI dependency that yields the caller, or answers 401 (who are you) or 403 (not yours to do)."""

    async def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        found = await request.app.state.callers.find(credentials.credentials) if credentials else None
        if found is None:
            raise Problem(401, "Token missing or not known", "Send `Authorization: Bearer TOKEN`.")
        if action not in found.actions:
            raise Problem(
                403,
                f"{found.name} may not do this (it takes `{action}`)",
                "Ask an administrator to let you, or somebody who may.",
            )
        return found  # type: ignore[no-any-return]

    return caller


class NewCaller(BaseModel):
    """Who shall be let in, to what, and where."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w .@-]+$")]
    actions: Annotated[list[Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z]+)*$")]], Field(min_length=1)]
    area: Annotated[str, Field(pattern=r"^\d{0,8}$")] = ""


Manager = Annotated[Caller, Depends(allowed("callers.manage"))]
router = APIRouter(prefix="/callers", tags=["callers"])


@router.post("", status_code=201)
async def add_caller(request: Request, new: NewCaller, _: Manager) -> dict[str, str]:
    """Add a caller; the token is answered once and can't be read again."""
    return {"name": new.name, "token": await request.app.state.callers.add(new.name, new.actions, new.area)}


@router.get("")
async def list_callers(request: Request, _: Manager) -> list[dict[str, object]]:
    """All callers with their actions and areas."""
    return await request.app.state.callers.listed()  # type: ignore[no-any-return]


@router.delete("/{name}", status_code=204)
async def revoke_caller(request: Request, name: str, _: Manager) -> None:
    """Revoke a caller's token."""
    await request.app.state.callers.revoke(name)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
