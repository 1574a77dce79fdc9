"""Web pages: the playable client and what else lies in clients/, served from memory.

What can be asked for is what was found at the start: a table from URL to file. A path of a request is only ever looked up in it and
never joined to a folder, so no spelling of it leads anywhere else. In a checkout the files are in clients/, in an installed
wheel in gameedge/clients. A file that changes on the disk is read again, so that a page can be worked on without a restart; new
files need one.

Nothing here is secret and nothing is written: the pages talk to the same API as everybody.
"""

import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from litestar import MediaType, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from gameedge.core.errors import Reason, RefusedError
from gameedge.telemetry import logs

log = logs.get(__name__)

_PACKAGE: Final = Path(__file__).resolve().parent.parent
FOLDERS: Final = (_PACKAGE.parent / "clients", _PACKAGE / "clients")
SERVED: Final = ("web/**/*", "js/*.js", "vectors/arena_map.json")  # patterns below a folder of FOLDERS; nothing else is reachable
FILE_BYTES_MAX: Final = 2 * 1024 * 1024  # a larger one is not served
FILES_MAX: Final = 512
GZIP_BYTES_MIN: Final = 1_024
TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_TEXT: Final = frozenset({".html", ".css", ".js", ".mjs", ".json", ".webmanifest", ".svg", ".txt"})

# Pages run no script and no style but their own files. Edges are on other hosts, so any WebSocket may be opened, and nothing else.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self' ws: wss:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # No build step, so no name changes with its content: ask each time, and be told "the same" in a few bytes.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(slots=True)
class Asset:
    """One file in memory: as it is, and packed where that is shorter."""

    path: Path
    content_type: str
    data: bytes = b""
    packed: bytes = b""
    etag: str = ""
    stamp: tuple[int, int] = (0, 0)  # mtime in ns and size when it was read

    def refresh(self) -> bool:
        """Read it where it has changed. False: it is gone, or too large now."""
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self.stamp:
                return True
            if stat.st_size > FILE_BYTES_MAX:
                return False
            self.data, self.stamp = self.path.read_bytes(), stamp
        except OSError:
            return False
        self.etag = f'"{hashlib.sha256(self.data).hexdigest()[:16]}"'
        packed = gzip.compress(self.data, 6, mtime=0) if self.path.suffix in _TEXT and len(self.data) >= GZIP_BYTES_MIN else b""
        self.packed = packed if len(packed) < len(self.data) else b""
        return True


@dataclass
class Site:
    """All files by URL path, `/web/theme.css` and so on, and the pages that have a short name."""

    files: Mapping[str, Asset]
    pages: Mapping[str, str] = field(default_factory=dict)  # "/" → "/web/index.html"

    def get(self, path: str) -> Asset:
        """Raises RefusedError(NOT_FOUND)."""
        asset = self.files.get(self.pages.get(path, path))
        if asset is None or not asset.refresh():
            raise RefusedError(Reason.NOT_FOUND, "no such page or file")
        return asset


def find(folders: Sequence[Path] = FOLDERS) -> dict[str, Asset]:
    """Everything that is served, by URL path: of the first folder that has web pages."""
    for folder in folders:
        if (folder / "web").is_dir():
            return _find(folder.resolve())
    log.warning("web_pages_missing", detail=" ".join(map(str, folders)))
    return {}


def _find(folder: Path) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for path in sorted({path for pattern in SERVED for path in folder.glob(pattern)}):
        # A link could lead out of the folder; names with a dot are editors' and systems' own.
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if not path.is_file() or path.resolve() != path or hidden or path.suffix not in TYPES:
            continue
        asset = Asset(path, TYPES[path.suffix])
        if asset.refresh() and len(found) < FILES_MAX:
            found["/" + relative.as_posix()] = asset
    return found


def make_site(pages: Mapping[str, str], folders: Sequence[Path] = FOLDERS) -> Site:
    """`pages` that are not there (a checkout in the middle of something) are left out."""
    files = find(folders)
    return Site(files, {short: file for short, file in pages.items() if file in files})


# Pages by their short address. `/web/...`, `/js/...` and `/vectors/...` are files as they lie in clients/.
PAGES: Final[Mapping[str, str]] = {
    "/": "/web/index.html",
    "/play": "/web/index.html",
    "/watch": "/web/index.html",
    "/dashboard": "/web/dashboard/index.html",
    "/favicon.ico": "/web/icon.svg",
}


def routes(site: Site | None = None) -> list[HTTPRouteHandler]:
    """The handlers for everything of this module, GET and HEAD."""
    site = make_site(PAGES) if site is None else site

    @route(list(PAGES), http_method=["GET", "HEAD"], include_in_schema=False, status_code=200, name="web_page")
    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer(site.get(request.url.path.rstrip("/") or "/"), request)

    @route(
        ["/web/{file:path}", "/js/{file:path}", "/vectors/{file:path}"],
        http_method=["GET", "HEAD"],
        include_in_schema=False,
        status_code=200,
        name="web_file",
    )
    async def file(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer(site.get(request.scope["path"]), request)

    return [page, file]


def answer(asset: Asset, request: Request[Any, Any, Any]) -> Response[bytes]:
    """The file, packed where the client takes that, or 304 where it has it already."""
    headers = {**HEADERS, "ETag": asset.etag}
    if asset.etag in _list(request.headers.get("if-none-match", "")):
        return Response(b"", status_code=304, headers=headers, media_type=MediaType.TEXT)
    body = asset.data
    if asset.packed and "gzip" in _list(request.headers.get("accept-encoding", "")):
        body = asset.packed
        headers["Content-Encoding"] = "gzip"
    headers["Content-Type"] = asset.content_type
    return Response(body if request.method == "GET" else b"", headers=headers)


def _list(header: str) -> Iterable[str]:
    """Values of a comma-separated header without weights; weak tags count like strong ones."""
    return {part.split(";")[0].strip().removeprefix("W/") for part in header[:1_024].split(",")}
