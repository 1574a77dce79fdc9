"""Configuration structs as TOML text. Reading is `gameedge.config.load`."""

import json

import msgspec

from gameedge.config import Section


def dumps(section: Section) -> str:
    """Every key, defaults included, so that the file shows what runs."""
    return "\n".join(_table(msgspec.to_builtins(section), "")) + "\n"


def _table(table: dict[str, object], name: str) -> list[str]:
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", *_table(value, f"{name}.{key}" if name else key)]
    return lines


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, str):  # a JSON string is a TOML basic string, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
