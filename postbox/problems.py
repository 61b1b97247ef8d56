"""Errors of the HTTP interfaces as `application/problem+json` (RFC 9457): what is wrong and what to do."""

import logging
from collections.abc import Mapping

from asyncpg import DataError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What to do about it."},
    },
}
RESPONSES: Mapping[int | str, dict[str, object]] = {
    code: {"description": what, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    for code, what in (("4XX", "The request can't be done as it is."), ("503", "Not now; later it can."))
}
"""What every operation's description says of its errors."""


class Problem(Exception):
    """An answer that is an error: HTTP status, short title, what to do about it, and further members."""

    def __init__(self, status: int, title: str, detail: str, **members: object) -> None:
        super().__init__(title)
        self.status = status
        self.body: Mapping[str, object] = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            **members,
        }


def install(app: FastAPI) -> None:
    """Answer `Problem` and invalid requests as problem documents; a rejected value is not repeated."""

    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return JSONResponse(error.body, status_code=error.status, media_type=MEDIA_TYPE)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields = [
            {"field": ".".join(map(str, item["loc"])), "problem": item["type"]} for item in error.errors()
        ]
        body = Problem(
            422, "The request is not valid", "Correct the fields named in `errors`.", errors=fields
        )
        return JSONResponse(body.body, status_code=422, media_type=MEDIA_TYPE)

    async def misdirected(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        body = Problem(error.status_code, error.detail, "See /openapi.json for what can be asked here.").body
        return JSONResponse(body, error.status_code, error.headers, MEDIA_TYPE)

    async def unstorable(_: Request, error: Exception) -> JSONResponse:
        log.warning("a request held a value that the database can't hold: %s", type(error).__name__)
        title, detail = "A value can't be kept", "Leave out NUL characters; numbers are below 2^63."
        return JSONResponse(Problem(422, title, detail).body, 422, media_type=MEDIA_TYPE)

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(DataError, unstorable)
    app.add_exception_handler(HTTPException, misdirected)
    app.add_exception_handler(RequestValidationError, invalid)
