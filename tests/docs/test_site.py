"""The docs site: it builds without a warning, and what is broken on purpose is found."""

import shutil
from pathlib import Path

import pytest

from docs import build, http_api

ROOT = Path(__file__).parents[2]


def small(tmp_path: Path, **pages: str) -> Path:
    """A repository with an index and the pages that are given; `a__b` is `docs/a/b.md`."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT / "docs" / "site", root / "docs" / "site")
    (root / "clients" / "web").mkdir(parents=True)
    shutil.copyfile(ROOT / "clients" / "web" / "icon.svg", root / "clients" / "web" / "icon.svg")
    for name, text in {"index": "# Index\n\n## All\n\n- [One](one.md)\n", **pages}.items():
        path = root / "docs" / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def test_every_link_of_every_page_leads_somewhere(tmp_path: Path) -> None:
    build.stage(ROOT, tmp_path / "pages")
    staged = tmp_path / "pages" / "docs"
    assert "../clients/js/README.md" in (staged / "write-a-client.md").read_text("utf-8"), "a folder is its README"
    assert (tmp_path / "pages" / "examples" / "play_a_match.py").is_file(), "code that a page names comes along"
    index = (staged / "index.md").read_text("utf-8")
    assert index.count("{toctree}") >= 5
    assert "Start here </docs/start-here>" in index


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# One\n\n[two](two.md)\n", "two.md does not exist"),
        ("# One\n\n![picture](pictures/none.png)\n", "none.png does not exist"),
        ("# One\n\n[out](../../../etc/passwd)\n", "does not exist"),
    ],
)
def test_a_link_that_leads_nowhere_stops_it(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(build.BuildError, match=says):
        build.stage(small(tmp_path, one=text), tmp_path / "pages")


def test_links_in_code_are_left_alone_and_a_page_without_a_place_comes_last(tmp_path: Path) -> None:
    code = "# One\n\n```python\nnames[0](missing.md)\n```\n"
    build.stage(small(tmp_path, one=code), tmp_path / "pages")
    assert (tmp_path / "pages" / "docs" / "one.md").read_text("utf-8") == code
    build.stage(small(tmp_path / "other", one="# One\n", new="# New\n"), tmp_path / "again")
    index = (tmp_path / "again" / "docs" / "index.md").read_text("utf-8")
    assert "/docs/new\n" in index.split(":caption: More")[1]


def test_finished_pages_are_read_once_more(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#there">b</a> <a href="b.html#gone">b</a> <a href="c.html">c</a>')
    (tmp_path / "b.html").write_text(
        '<h2 id="there">B</h2> <a href="https://example.org/x">x</a> <a href="#nothing">n</a> <a href="a.html">a</a>'
    )
    assert build.dead_links(tmp_path) == [
        "a.html: b.html#gone has no such anchor",
        "a.html: c.html does not exist",
        "b.html: #nothing has no such anchor",
    ]


def test_sphinx_warnings_are_errors(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    pytest.importorskip("myst_parser", reason="the extra docs is not installed")
    with pytest.raises(build.BuildError, match="Sphinx"):
        build.build(tmp_path / "site", small(tmp_path, one="# One\n\n[here](#nowhere)\n"))


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    out = tmp_path / "site"
    out.mkdir()
    for name in (".buildinfo", "stale.html"):
        (out / name).write_text("of the last time")
    assert build.main([str(out)]) == 0, capsys.readouterr().err
    assert len(list(out.rglob("*.html"))) >= len(build.pages())
    assert not (out / "stale.html").exists(), "a site of its own is replaced"
    assert "gameedge_tick_lateness_ms" in (out / "docs" / "metrics.html").read_text("utf-8")


def test_the_page_of_the_http_api_is_what_a_coordinator_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http_api.main(["--check"]) == 0, "run: make docs"
    monkeypatch.setattr(http_api, "PAGE", tmp_path / "http-api.md")
    assert http_api.main(["--check"]) == 1
    assert http_api.main([]) == 0
    text = (tmp_path / "http-api.md").read_text("utf-8")
    assert "| `POST` | `/v1/placements` |" in text
    assert text.index("/v1/guests") < text.index("/healthz") < text.index("/v1/admin/status")


def test_no_other_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    assert build.main([str(tmp_path)]) == 2
    assert (tmp_path / "precious.txt").is_file()
