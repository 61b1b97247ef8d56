"""Errors of the HTTP interfaces as `application/problem+json` (RFC 9457): what is wrong and what to do."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


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

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, invalid)
