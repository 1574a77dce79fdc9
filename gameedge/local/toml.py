"""Configuration structs as TOML text. Reading is `gameedge.config.load`."""

import json
import re

import msgspec

from gameedge.config import Section


def dumps(section: Section) -> str:
    """Every key, defaults included, so that the file shows what runs."""
    return "\n".join(_table(msgspec.to_builtins(section), "")) + "\n"


def _table(table: dict[str, object], name: str) -> list[str]:
    lines = [f"[{name}]"] if name else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", *_table(value, f"{name}.{_key(key)}" if name else _key(key))]
    return lines


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _value(text)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str):  # a JSON string is a TOML basic string, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
