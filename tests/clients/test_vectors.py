"""The golden frames: what servers do today is what the files say, and clients in two languages read them alike."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from clients.vectors import generate
from clients.vectors.messages import HELLO, WELCOME
from gameedge.arena import Arena
from gameedge.core.game import REFUSAL_NAMES, Seat
from gameedge.core.ids import PlayerId, SessionId
from gameedge.core.protocol import arena_v1, frames
from gameedge.core.protocol.close import reason_of, retry_after
from gameedge.core.protocol.messages import ClientMessage, ServerMessage, Unknown, decode_client, decode_server, encode, tag_of
from gameedge.core.protocol.session import ServerSession

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clients" / "vectors"
NODE = shutil.which("node")


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def test_files_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0, "run: python -m clients.vectors.generate"


def test_frames() -> None:
    vectors = read("frames.json")
    for v in vectors["commands"]:
        decoded = frames.decode_command(bytes.fromhex(v["hex"]))
        assert decoded is not None
        header, payload = decoded
        assert header == (v["sequence"], v["client_ms"] % frames.UINT32, v["seen_tick"])
        assert payload.hex() == v["payload"]
    for v in vectors["snapshots"]:
        assert frames.decode_snapshot(bytes.fromhex(v["hex"])) == (
            (v["flags"], v["tick"], v["processed"], v["server_ms"]),
            bytes.fromhex(v["payload"]),
        )
    for v in vectors["bad_snapshots"]:
        assert frames.decode_snapshot(bytes.fromhex(v["hex"])) is None, v["why"]


def test_arena_payloads() -> None:
    vectors = read("arena.json")
    for v in vectors["commands"]:
        subticks = [arena_v1.Subtick(**subtick) for subtick in v["subticks"]]
        assert arena_v1.encode_command((subticks[0], subticks[1], subticks[2])).hex() == v["hex"]
    for v in vectors["snapshots"]:
        view = arena_v1.decode_snapshot(bytes.fromhex(v["hex"]))
        assert view is not None
        assert view.team_scores == tuple(v["view"]["team_scores"])
        assert [other._asdict() for other in view.others] == v["view"]["others"]
        assert [event._asdict() for event in view.events] == v["view"]["events"]
        assert {key: getattr(view, key) for key in v["view"]} | {key: v["view"][key] for key in ("team_scores", "others", "events")} == v[
            "view"
        ]
    for v in vectors["bad_snapshots"]:
        assert arena_v1.decode_snapshot(bytes.fromhex(v["hex"])) is None, v["why"]


def test_the_arena_takes_the_good_commands_and_refuses_the_bad_ones_by_name() -> None:
    vectors = read("arena.json")
    arena = Arena(matches_max=1, entities_max=2)
    slot = arena.open_match("duel", 1, [Seat(0, PlayerId("p_1")), Seat(1)])
    arena.seat(slot, 0, human=True)
    entity = np.array([arena.entity(slot, 0)], np.int32)
    for number, v in enumerate([*vectors["commands"][:2], *vectors["bad_commands"]], 1):
        reasons = np.zeros(1, np.uint8)
        payload = np.frombuffer(bytes.fromhex(v["hex"]), np.uint8).reshape(1, -1).copy()
        arena.receive(entity, payload, np.array([number], np.int64), np.zeros(1, np.float32), reasons)
        assert REFUSAL_NAMES[reasons[0]] == v.get("reason", "accepted"), v


def test_messages() -> None:
    vectors = read("messages.json")
    seen = set()
    for side, decode in (("client", decode_client), ("server", decode_server)):
        for v in vectors[side]:
            message = decode(bytes.fromhex(v["hex"]))
            assert not isinstance(message, Unknown), v["message"]
            assert (tag_of(message), message.critical) == (v["t"], v["critical"])
            assert json.loads(encode(message)) == v["message"] == json.loads(bytes.fromhex(v["hex"]))
            seen.add(type(message))
    assert seen == set(get_args(ClientMessage)) | set(get_args(ServerMessage)), "every message there is"
    for v in vectors["unknown"]:
        assert decode_server(v["text"].encode()) == Unknown(v["t"], v["s"])


@pytest.mark.parametrize("vector", read("refusals.json"), ids=lambda v: v["why"])
def test_refusals(vector: dict[str, Any]) -> None:
    session = ServerSession(SessionId("s_1"), "r_1", 0.0)
    if vector["after"] == "welcome":
        session.receive_text(HELLO, 0.0)
        session.open(WELCOME, 0.0)
        session.outgoing()
    assert session.receive_text(bytes.fromhex(vector["hex"]) * vector.get("repeat", 1), 1.0) == []
    answers = [json.loads(data) for data in session.outgoing()]
    assert vector["refused"] or vector["close"], "something answers"
    assert [{key: value for key, value in answer.items() if key != "detail"} for answer in answers] == vector["refused"]
    assert all(answer["detail"] for answer in answers), "says what to do"
    assert (session.closing.code if session.closing else None) == vector["close"]


def test_scripts_lose_nothing_and_double_nothing() -> None:
    for script in read("sessions.json"):
        numbers, applied = [0], [0]
        for step in script["steps"]:
            if step["do"] == "receive" and json.loads(step["text"])["t"] == "welcome" and not json.loads(step["text"])["resumed"]:
                numbers, applied = [0], [0]
            if step["do"] == "receive" and step["handed"] and "s" in json.loads(step["text"]):
                applied.append(json.loads(step["text"])["s"])
            if step["do"] == "receive" and not step.get("broken"):
                numbers.append(max(numbers[-1], json.loads(step["text"]).get("s", 0)))
                assert numbers[-1] - numbers[-2] <= 1, "no gaps"
        assert applied == sorted(set(applied)), script["name"]


def test_close_codes() -> None:
    for v in read("close.json"):
        reason = reason_of(v["code"])
        assert (str(reason) if reason else None, retry_after(v["code"]).value) == (v["reason"], v["retry"])


def check_with_node(folder: Path) -> tuple[int, dict[str, Any]]:
    if NODE is None:
        pytest.skip("node is not installed: the JavaScript client cannot be checked here")
    done = subprocess.run([NODE, str(ROOT / "clients/js/check_vectors.js"), str(folder)], capture_output=True, timeout=60, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def test_javascript_reads_them_alike() -> None:
    status, said = check_with_node(FOLDER)
    assert said["differences"] == []
    assert status == 0
    wanted = {"commands", "snapshots", "arena_commands", "arena_snapshots", "moves", "close", "messages", "sessions"}
    assert all(said["checked"].get(kind, 0) > 2 for kind in wanted)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("arena.json", '"health": 74', '"health": 75'),
        ("frames.json", '"processed": 41', '"processed": 42'),
        ("sessions.json", '"last_s": 3', '"last_s": 4'),
        ("close.json", '"retry": "place"', '"retry": "resume"'),
    ],
)
def test_the_javascript_check_notices(tmp_path: Path, name: str, before: str, after: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "v", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    text = (tmp_path / "v" / name).read_text("utf-8")
    assert before in text
    (tmp_path / "v" / name).write_text(text.replace(before, after, 1), "utf-8")
    status, said = check_with_node(tmp_path / "v")
    assert status == 1
    assert said["differences"]
