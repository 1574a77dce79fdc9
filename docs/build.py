"""`python -m docs.build [OUT]`: the docs site, from docs/ and the READMEs and cards beside the code. Exits 1 where anything is amiss.

The pages are Markdown that a repository's own viewer shows, links to code included. So they are staged first: copied with the
layout that they have here, and each link is made to fit the site (a folder becomes its README, a file of the code a download).
A link that leads nowhere stops the build, as does every warning of Sphinx, and afterwards the finished pages are read once more:
each address and each anchor in them must exist. docs/index.md is the order of the site; pages that it does not name come last.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = Path("build") / "site"
INDEX: Final = Path("docs/index.md")
SITE: Final = Path("docs/site")
DECISIONS: Final = Path("docs/decisions")
# Pages that lie beside what they are about.
BESIDE: Final = ("CHANGELOG.md", "examples/README.md", "clients/*/README.md", "models/*/CARD.md")
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE: Final = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)


class BuildError(Exception):
    """What is wrong, one line each."""


def pages(root: Path = ROOT) -> list[Path]:
    """Everything that becomes a page, relative to the root."""
    beside = [path for pattern in BESIDE for path in sorted(root.glob(pattern))]
    return sorted(
        {path.relative_to(root) for path in [*(root / "docs").rglob("*.md"), *beside] if SITE not in path.relative_to(root).parents}
    )


def stage(root: Path, to: Path) -> None:
    """Pages and what they show, ready for Sphinx. Raises BuildError with every link that leads nowhere."""
    wrong: list[str] = []
    known = set(pages(root))
    (to / DECISIONS).mkdir(parents=True)
    (to / DECISIONS / "index.md").write_text(decisions(root), "utf-8")
    for page in sorted(known):
        text = _outside_code((root / page).read_text("utf-8"), partial(_fit, page=page, root=root, to=to, known=known, wrong=wrong))
        if page == INDEX:
            text += _trees((root / page).read_text("utf-8"), root, known)
        (to / page).parent.mkdir(parents=True, exist_ok=True)
        (to / page).write_text(text, "utf-8")
    if wrong:
        raise BuildError("\n".join(wrong))


def decisions(root: Path) -> str:
    """A page that lists all decisions by their titles."""
    found = sorted((root / DECISIONS).glob("[0-9]*.md"))
    names = "\n".join(path.stem for path in found)
    head = "# Decisions\n\nWhy things are as they are: what was tried, what it cost, what was left."
    return f"{head}\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """`change` applied to what is no fenced code."""
    done: list[str] = []
    at = 0
    for fence in _FENCE.finditer(text):
        done += [change(text[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*done, change(text[at:])])


def _fit(text: str, page: Path, root: Path, to: Path, known: set[Path], wrong: list[str]) -> str:
    def fit(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            return match[0]
        path = (root / page).parent / unquote(parts.path)
        if not path.resolve().is_relative_to(root.resolve()) or not path.exists():
            wrong.append(f"{page}: {target} does not exist")
            return match[0]
        there = path.resolve().relative_to(root.resolve())
        if path.is_dir():
            inside = there / ("index.md" if there == DECISIONS else "README.md")
            if there == DECISIONS or inside in known:
                return f"{picture}[{words}]({_way(page, inside)})"
            return words  # a folder of code: there is nothing to show
        if there in known:
            return match[0]
        (to / there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / there)
        return match[0]

    return _LINK.sub(fit, text)


def _way(page: Path, to: Path) -> str:
    return "/".join([*([".."] * len(page.parent.parts)), *to.parts])


def _trees(text: str, root: Path, known: set[Path]) -> str:
    """Hidden trees from the index' own sections: what a reader sees there is the order of the site."""
    trees, named = [], {INDEX}
    sections = _SECTION.split(text)[1:]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        listed = []
        for _, words, target in _LINK.findall(body):
            path = (root / "docs" / target.split("#")[0]).resolve()
            if urlsplit(target).scheme or not path.is_relative_to(root):
                continue
            there = path.relative_to(root)
            there = there / "index.md" if there == DECISIONS else there
            if there.suffix == ".md" and there not in named:
                named.add(there)
                listed.append(f"{words} </{there.with_suffix('').as_posix()}>")
        if listed:
            names = "\n".join(listed)
            trees.append(f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{names}\n```\n")
    rest = [f"/{page.with_suffix('').as_posix()}" for page in sorted(known - named) if DECISIONS not in page.parents]
    if rest:  # new, and not given a place yet: found all the same
        trees.append("\n```{toctree}\n:hidden:\n:caption: More\n\n" + "\n".join(rest) + "\n```\n")
    return "".join(trees)


def build(out: Path, root: Path = ROOT) -> int:
    """The site into an empty folder; how many pages it has. Raises BuildError."""
    try:
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise BuildError(f"{error}; the docs site needs the extra docs: pip install -e '.[docs]'") from error
    with tempfile.TemporaryDirectory(prefix="gameedge-docs-") as name:
        staged = Path(name) / "pages"
        stage(root, staged)
        config = Path(name) / "site"
        shutil.copytree(root / SITE, config)
        shutil.copyfile(root / "clients" / "web" / "icon.svg", config / "static" / "icon.svg")
        arguments = ["-q", "-W", "--keep-going", "-n", "-b", "html", "-d", f"{name}/trees", "-c", str(config), str(staged), str(out)]
        if build_main(arguments):
            raise BuildError("Sphinx found something wrong, see above")
    _front_door(out)
    if dead := dead_links(out):
        raise BuildError("\n".join(dead))
    return len(list(out.rglob("*.html")))


def _front_door(out: Path) -> None:
    (out / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>gameedge</title>'
        '<meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">gameedge</a></html>\n',
        "utf-8",
    )


class _Page(HTMLParser):
    """Anchors of a page, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def dead_links(site: Path) -> list[str]:
    """Addresses within finished pages that are not there; links to other hosts are not asked for."""
    read: dict[Path, _Page] = {}

    def parsed(path: Path) -> _Page:
        if path not in read:
            read[path] = _Page()
            read[path].feed(path.read_text("utf-8"))
        return read[path]

    def look(path: Path) -> Iterator[str]:
        for target in parsed(path).targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file():
                yield f"{path.relative_to(site)}: {target} does not exist"
            elif parts.fragment and there.suffix == ".html" and unquote(parts.fragment) not in parsed(there).anchors:
                yield f"{path.relative_to(site)}: {target} has no such anchor"

    return sorted({problem for path in sorted(site.resolve().rglob("*.html")) for problem in look(path)})


def main(arguments: list[str]) -> int:
    out = Path(arguments[0]) if arguments else OUT
    if out.exists():
        if not (out / ".buildinfo").is_file() and any(out.iterdir()):
            sys.stderr.write(f"{out} is there and no docs site: name an empty folder\n")
            return 2
        shutil.rmtree(out)
    try:
        count = build(out)
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{count} pages: {out / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
