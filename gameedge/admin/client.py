"""The admin API from the command line: one call, and every failure as a sentence that says what to do."""

from typing import Any, Final
from urllib.parse import quote

import httpx

from gameedge.core.errors import GameEdgeError

TIMEOUT_S: Final = 10.0


class AdminError(GameEdgeError):
    """What went wrong, for a person. `status` is the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


# Exit statuses: scripts switch on them. docs/cli.md has their table.
FAULTS: Final = 1
WRONG_USE: Final = 2
ABSENT: Final = 3
DENIED: Final = 4
NOT_FOUND: Final = 5
REFUSED: Final = 6

STATUSES: Final = {
    0: "done",
    FAULTS: "`doctor` found a fault",
    WRONG_USE: "wrong use: an unknown option, a missing argument, a value that is none; or a question that nobody could be asked",
    ABSENT: "no coordinator answers, or its store, its broker or a region is away",
    DENIED: "no token, a wrong or ended one, or one whose role may not do this",
    NOT_FOUND: "no such region, player, match, flag or version",
    REFUSED: "refused: somebody else was faster, the value is not allowed, or you answered no",
}


def path(*parts: str) -> str:
    """A path below the admin API with every part escaped."""
    return "/v1/admin/" + "/".join(quote(part, safe="") for part in parts)


def call(
    url: str,
    token: str,
    method: str,
    where: str,
    *,
    body: object = None,
    params: dict[str, Any] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """The answer's JSON. Raises AdminError."""
    if not token:
        raise AdminError("no operator token: give --token or set GAMEEDGE_TOKEN", DENIED)
    try:
        answer = httpx.request(
            method,
            url.rstrip("/") + where,
            json=body,
            params=params,
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            trust_env=False,  # a proxy of the environment has no business with an operator token
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise AdminError(f"{url!r} is no URL of a coordinator: {error}; give --url http://host:port", ABSENT) from error
    except UnicodeEncodeError as error:
        raise AdminError("the operator token holds characters that no header takes", DENIED) from error
    except httpx.HTTPError as error:
        raise AdminError(f"no coordinator answers at {url} ({error or type(error).__name__}); is it running?", ABSENT) from error
    return _read(url, answer)


def _read(url: str, answer: httpx.Response) -> Any:
    try:
        content = answer.json()
    except ValueError as error:
        raise AdminError(f"{url} answers, but is no coordinator (status {answer.status_code})", ABSENT) from error
    if answer.is_success:
        return content
    detail = content.get("detail") or content.get("reason") if isinstance(content, dict) else None
    text = str(detail or f"status {answer.status_code}")
    if answer.status_code in (401, 403):
        raise AdminError(f"not allowed: {text}", DENIED)
    raise AdminError(text, NOT_FOUND if answer.status_code == 404 else ABSENT if answer.status_code == 503 else REFUSED)
