"""What the pages say can be typed can be typed: commands, options, modules, configuration files."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from gameedge.__main__ import _for_completion
from gameedge.config import CoordinatorConfig, EdgeConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("README.md", "docs/**/*.md", "examples/*.md", "clients/*/README.md", "models/*/CARD.md")
    for path in ROOT.glob(pattern)
)
COMMAND = re.compile(r"\bgameedge((?: [a-z][a-z-]*)+)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
MODULE = re.compile(r"\bpython3? -m ([\w.]+)")


def commands() -> Any:
    return typer.main.get_command(_for_completion())


def code(text: str) -> list[str]:
    """Fenced and indented blocks by line, and what stands in backticks."""
    fenced = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return fenced + re.findall(r"(?m)^    (.+)$", rest) + re.findall(r"`([^`\n]+)`", rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists_and_takes_its_options(page: str) -> None:
    wrong = []
    for line in code((ROOT / page).read_text("utf-8")):
        for found in COMMAND.finditer(line):
            at, words = commands(), found[1].split()
            for word in words:
                if hasattr(at, "commands"):
                    if word not in at.commands:
                        wrong.append(f"{line.strip()}: {word}")
                        break
                    at = at.commands[word]
            else:
                said = line[found.end() :].split("#")[0].split("gameedge ")[0]
                options = {option for one in at.params for option in one.opts} | {"--help", "--install-completion"}
                wrong += [f"{line.strip()}: {option}" for option in OPTION.findall(said) if option not in options]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_of_a_page_can_be_run(page: str) -> None:
    names = {name for line in code((ROOT / page).read_text("utf-8")) for name in MODULE.findall(line)} - {"venv"}
    assert [name for name in sorted(names) if importlib.util.find_spec(name) is None] == []


def test_the_page_has_every_option_of_up() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    options = {option for one in commands().commands["up"].params for option in one.opts if option.startswith("--")}
    assert [option for option in sorted(options - {"--help"}) if f"| `{option}" not in page] == []


def test_the_smallest_deployment_is_one() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    coordinator, edge = (tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[:2])
    of_coordinator, of_edge = msgspec.convert(coordinator, CoordinatorConfig), msgspec.convert(edge, EdgeConfig)
    assert of_coordinator.bus == of_edge.bus
    assert of_coordinator.redis != of_edge.redis
    assert of_edge.public_url.endswith(f":{of_edge.players.port}")
