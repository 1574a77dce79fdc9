"""Every error of the API in one form: `ErrorBody`, with the status that fits its reason."""

from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from gameedge.coordinator.schemas.base import ErrorBody
from gameedge.core.errors import Reason, RefusedError
from gameedge.telemetry import logs
from gameedge.telemetry.metrics import Registry as Metrics

log = logs.get(__name__)

STATUS: Final = {
    Reason.MALFORMED: 400,
    Reason.UNSUPPORTED: 400,
    Reason.TOKEN_INVALID: 401,
    Reason.TOKEN_EXPIRED: 401,
    Reason.FORBIDDEN: 403,
    Reason.WRONG_REGION: 403,
    Reason.NOT_FOUND: 404,
    Reason.OUT_OF_ORDER: 409,
    Reason.TOO_LARGE: 413,
    Reason.TOO_OFTEN: 429,
    Reason.INTERNAL: 500,
    Reason.SERVER_FULL: 503,
    Reason.UNAVAILABLE: 503,
}
_REASON_OF_STATUS: Final = {
    401: Reason.TOKEN_INVALID,
    403: Reason.FORBIDDEN,
    404: Reason.NOT_FOUND,
    405: Reason.UNSUPPORTED,
    413: Reason.TOO_LARGE,
    415: Reason.UNSUPPORTED,
    429: Reason.TOO_OFTEN,
    503: Reason.UNAVAILABLE,
}


def error_response(reason: Reason, detail: str, status: int, retry_after_ms: int | None = None) -> Response[ErrorBody]:
    headers = {}
    if retry_after_ms is not None:
        headers["Retry-After"] = str(max(1, -(-retry_after_ms // 1000)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = ErrorBody(reason=reason, detail=detail[:512], retry_after_ms=retry_after_ms)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def handlers(metrics: Metrics) -> ExceptionHandlersMap:
    """Litestar's exception handlers. What nobody foresaw is logged, counted, and told without its words."""

    def refused(_: Request[Any, Any, Any], error: RefusedError) -> Response[ErrorBody]:
        return error_response(error.reason, error.detail, STATUS.get(error.reason, 400), error.retry_after_ms)

    def http(_: Request[Any, Any, Any], error: HTTPException) -> Response[ErrorBody]:
        if error.status_code >= 500:
            return unforeseen(_, error)
        return error_response(_REASON_OF_STATUS.get(error.status_code, Reason.MALFORMED), _words(error), error.status_code)

    def malformed(_: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
        return error_response(Reason.MALFORMED, "not the documented form", 400)

    def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorBody]:
        if isinstance(error.__cause__, RecursionError | UnicodeError | msgspec.MsgspecError):
            return malformed(request, error)  # the body, wrapped by the framework
        metrics.counter("coordinator_errors_total", where="http").add()
        log.fault("request_failed", error, route=request.scope.get("path_template", "?"))
        return error_response(Reason.INTERNAL, "our fault; it was logged", 500)

    return {
        RefusedError: refused,
        HTTPException: http,
        RecursionError: malformed,
        UnicodeError: malformed,
        msgspec.MsgspecError: malformed,
        Exception: unforeseen,
    }


def _words(error: HTTPException) -> str:
    """What is wrong, without the framework's wrapping: which field, and what it takes."""
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        parts = [f"{item.get('key', 'body')}: {item.get('message', '')}" for item in error.extra if isinstance(item, dict)]
        if parts:
            return "; ".join(parts)
    cause = error.__cause__
    return str(cause) if isinstance(cause, msgspec.MsgspecError) else error.detail
