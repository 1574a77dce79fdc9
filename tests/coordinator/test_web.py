"""Web pages as they are served: what is reachable, what is not, and with which headers."""

import tomllib
from pathlib import Path

import httpx
import pytest

from gameedge.coordinator import web
from tests.coordinator.fleet import fleet

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/play", "text/html; charset=utf-8"),
        ("/watch", "text/html; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
        ("/web/theme.css", "text/css; charset=utf-8"),
        ("/web/app.js", "text/javascript; charset=utf-8"),
        ("/js/session.js", "text/javascript; charset=utf-8"),
        ("/vectors/arena_map.json", "application/json"),
    ],
)
async def test_pages_and_files(path: str, content_type: str) -> None:
    async with fleet() as world:
        answer = await world.http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        head = await world.http.head(path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
        again = await world.http.get(path, headers={"if-none-match": f'W/"x", {answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["cache-control"] == "no-cache"


async def test_packed_and_plain_are_the_same() -> None:
    async with fleet() as world:
        plain = await world.http.get("/web/app.js", headers={"accept-encoding": "identity"})
        packed = await world.http.get("/web/app.js", headers={"accept-encoding": "br;q=1.0, gzip;q=0.5"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
        assert plain.content == packed.content == (ROOT / "clients/web/app.js").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/web/../../pyproject.toml",
        "/web/%2e%2e/%2e%2e/pyproject.toml",
        "/web/..%2f..%2fpyproject.toml",
        "/web/....//....//pyproject.toml",
        "/web//etc/passwd",
        "/web/%00",
        "/web/\\..\\..\\pyproject.toml",
        "/js/package.json",
        "/js/README.md",
        "/vectors/frames.json",
        "/vectors/generate.py",
        "/web/",
        "/web/index",
        "/web/" + "a/" * 2_000,
        "/clients/web/app.js",
    ],
)
async def test_nothing_else_is_reachable(path: str) -> None:
    async with fleet() as world:
        # By hand: an HTTP client would tidy the path up.
        request = world.http.build_request("GET", "/")
        request.url = httpx.URL(str(request.url).rstrip("/"), raw_path=path.encode())
        answer = await world.http.send(request)
        assert answer.status_code in (400, 404)
        assert b"[project]" not in answer.content
        assert b"root:" not in answer.content


def test_links_hidden_files_and_other_kinds_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    (folder / "web" / ".git").mkdir(parents=True)
    (folder / "web" / "page.html").write_text("page")
    (folder / "web" / ".git" / "secret.txt").write_text("secret")
    (folder / "web" / "key.pem").write_text("key")
    (folder / "web" / "huge.js").write_bytes(b" " * (web.FILE_BYTES_MAX + 1))
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "web" / "link.txt").symlink_to(tmp_path / "outside.txt")
    assert list(web.find([tmp_path / "missing", folder])) == ["/web/page.html"]


def test_a_changed_file_is_read_again_and_a_lost_one_is_not_found(tmp_path: Path) -> None:
    page = tmp_path / "web" / "page.html"
    page.parent.mkdir()
    page.write_text("one")
    site = web.make_site({"/": "/web/page.html", "/gone": "/web/gone.html"}, [tmp_path])
    assert site.pages == {"/": "/web/page.html"}
    first = site.get("/").etag
    page.write_text("three")
    assert site.get("/").data == b"three"
    assert site.get("/").etag != first
    page.unlink()
    with pytest.raises(Exception, match="no such page"):
        site.get("/")


def test_the_wheel_carries_what_is_served() -> None:
    """Each file that is served lies below something that the build puts beside the package."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    forced = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(target == f"gameedge/{source}" for source, target in forced.items() if source.startswith("clients/"))
    served = [f"clients{path}" for path in web.find()]
    assert "clients/web/index.html" in served
    outside = [file for file in served if not any(file == source or file.startswith(f"{source}/") for source in forced)]
    assert outside == []
