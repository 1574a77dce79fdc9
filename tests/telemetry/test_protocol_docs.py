"""docs/protocol.md: its tables are what servers do, its examples are messages that servers and clients understand."""

import re
from pathlib import Path
from typing import get_args

import pytest
from msgspec import inspect

from gameedge.core.errors import Reason
from gameedge.core.protocol import arena_v1, frames, messages
from gameedge.core.protocol.messages import ClientMessage, Refused, ServerMessage, Unknown, decode_client, decode_server
from gameedge.telemetry import protocol_docs

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")


def test_every_part_is_on_the_page_and_up_to_date() -> None:
    for name in protocol_docs.PARTS:
        begin, end = protocol_docs.marks(name)
        assert PAGE.count(begin) == PAGE.count(end) == 1, name
    assert protocol_docs.splice(PAGE) == PAGE, "run: make docs"


def test_a_change_is_noticed() -> None:
    assert protocol_docs.splice(PAGE.replace("at most 64 characters", "at most 65 characters")) == PAGE


def test_every_field_says_what_it_means() -> None:
    kinds = [*get_args(ClientMessage), *get_args(ServerMessage), messages.Party, messages.ModeInfo, messages.RuleSeen, messages.RosterSeat]
    assert set(protocol_docs.FIELD_NOTES) <= {kind.__name__ for kind in kinds}
    for kind in kinds:
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)
        assert [field.name for field in info.fields] == list(protocol_docs.FIELD_NOTES.get(kind.__name__, {})), kind.__name__


def test_every_reason_is_on_the_page() -> None:
    assert all(f"| `{reason}` |" in PAGE for reason in Reason)


EXAMPLES = re.findall(r"```json\n(\{.*\})\n```", PAGE)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: re.findall(r'"t":"(\w+)"', text)[0])
def test_examples_are_messages(text: str) -> None:
    as_client, as_server = decode_client(text.encode()), decode_server(text.encode())
    assert not isinstance(as_client, Refused) or not isinstance(as_server, Unknown), "neither side understands it"


def test_binary_examples_say_what_the_page_says_of_them() -> None:
    blobs = [bytes.fromhex(blob) for blob in re.findall(r"```text\n([0-9a-f]{32,})\n```", PAGE)]
    assert len(blobs) == 2
    command = frames.decode_command(blobs[0])
    assert command is not None
    header, payload = command
    assert header == (1, 758, 48)
    assert payload == arena_v1.encode_command((arena_v1.Subtick(3.0, -30.0, 13 / 127, -126 / 127, True, 17),) * 3)
    decoded = frames.decode_snapshot(blobs[1])
    assert decoded is not None
    assert (decoded[0].tick, decoded[0].processed, len(decoded[1])) == (48, 0, 60)
    view = arena_v1.decode_snapshot(decoded[1])
    assert view is not None
    assert (view.x, view.y, len(view.others)) == (58.0, 40.0, 2)


def test_links_within_the_page_lead_somewhere() -> None:
    titles = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= titles
