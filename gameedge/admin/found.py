"""What `gameedge up` left word of on this machine: where its parts are, so that `gameedge admin` finds them by itself.

One JSON file a deployment, readable by its owner alone (the operator token is in it), written when everything is up and removed
at the end; a file whose process is gone is ignored.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

DEFAULT_URL: Final = "http://127.0.0.1:8080"
FOLDER_VARIABLE: Final = "GAMEEDGE_RUN"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A child: `kind` is redis, broker, coordinator, edge or bots."""

    name: str
    kind: str
    pid: int
    log: str = ""
    config: str = ""  # of a coordinator or an edge
    url: str = ""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of `gameedge up`. `folder`: its configuration, logs and data."""

    pid: int
    started_ms: int
    folder: str
    url: str
    token: str
    version: str
    parts: list[Part] = []


def folder() -> Path:
    """Where the files are: $GAMEEDGE_RUN, else the user's runtime folder, else a folder of the user's in the temporary one."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "gameedge"
    return Path(tempfile.gettempdir()) / f"gameedge-run-{os.getuid()}"


def deployments() -> list[Running]:
    """Those of this user that run, the newest first."""
    found = []
    try:
        paths = list(folder().glob("up-*.json"))
    except OSError:
        return []
    for path in paths:
        try:
            about = path.stat()
            if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
                continue  # somebody else wrote it, or may have: its token and address are not ours to use
            running = msgspec.json.decode(path.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        if is_alive(running.pid):
            found.append(running)
    return sorted(found, key=lambda running: -running.started_ms)


@contextlib.contextmanager
def left_word(running: Running) -> Iterator[Callable[[Running], None]]:
    """Leave word of a deployment until the context ends; what is given says it anew. A folder that cannot be written costs a warning
    nobody needs: the deployment runs all the same."""
    path = folder() / f"up-{running.pid}.json"

    def say(now: Running) -> None:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(now))
            fresh.replace(path)  # whole or not at all

    say(running)
    try:
        yield say
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def default_target(url: str) -> tuple[str, str]:
    """Address and token where none were given: of the newest deployment here (or the one at `url`)."""
    for running in deployments():
        if not url or url.rstrip("/") == running.url.rstrip("/"):
            return running.url, running.token
    return DEFAULT_URL, ""


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs (and is no zombie)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return True
