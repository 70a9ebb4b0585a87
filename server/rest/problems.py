"""Errors as problem documents (RFC 9457): one table of statuses, no internal text."""

import math
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gnomon.runtime.errors import WIRE, GnomonError, InvalidInput
from gnomon.server.rest.head import allowed_methods

_log = structlog.get_logger(__name__)


def problem(
    status: int, code: str, detail: str, details: Sequence[Mapping[str, Any]] = ()
) -> JSONResponse:
    """Return a problem document.

    `error` repeats `detail`, since clients of the Open Inference Protocol read it there.

    Args:
        status: of HTTP.
        code: of the error.
        detail: what was wrong, for people.
        details: the same for programs, one for each thing that was wrong.
    """
    title = code.replace("_", " ")
    document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "error": detail,
        "details": [dict(one) for one in details],
    }
    return JSONResponse(
        document, status, headers=_headers(status, details), media_type="application/problem+json"
    )


def _headers(status: int, details: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the headers that tell a client how to authenticate or when to retry."""
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    waits = [one["retry_after_seconds"] for one in details if "retry_after_seconds" in one]
    return {"Retry-After": str(max(1, math.ceil(max(waits))))} if waits else {}


def problem_of(error: GnomonError) -> JSONResponse:
    """Return the problem document of an error."""
    status = WIRE.get(error.code, WIRE["internal"])[1]
    return problem(status, error.code, str(error), error.details)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, GnomonError):
        raise error
    return problem_of(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    details = [
        {
            "field": ".".join(str(part) for part in one["loc"]),
            "rule": one["type"],
            "message": one["msg"],
        }
        for one in error.errors()
    ]
    first = details[0] if details else {"field": "body", "message": "is not valid"}
    return problem_of(InvalidInput(f"{first['field']}: {first['message']}", details=details))


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    codes = {404: "unknown_path", 405: "unknown_method"}
    document = problem(
        error.status_code, codes.get(error.status_code, "invalid_input"), str(error.detail)
    )
    document.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of the first route of the path only.
        document.headers["allow"] = ", ".join(allowed_methods(request.app.routes, request.scope))
    return document


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    reference = secrets.token_hex(8)
    _log.error("request_failed", path=request.url.path, reference=reference, exc_info=error)
    return problem_of(GnomonError(f"the server failed; its log tells why under {reference}"))


def install(app: FastAPI) -> None:
    """Make an application report all its errors as problem documents."""
    app.add_exception_handler(GnomonError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
