"""Whole sessions as scripts: what a client does, hears and says, step by step, over cut connections.

Each script is a run of the real state machines of both sides against each other, on a clock that the script sets. A client in
another language replays it: it does what a step says and must then want to send exactly the messages in `out`.
"""

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec

from clients.vectors.messages import ENDED, FOUND, STARTED, WELCOME
from gameedge.core.errors import Reason
from gameedge.core.ids import SessionId
from gameedge.core.protocol import messages as m
from gameedge.core.protocol.client_session import ClientSession, Numbered
from gameedge.core.protocol.session import ServerSession

TOKEN: Final = "eyJhbGciOi.eyJpc3MiOi.c2lnbmF0dXJl"
CLIENT: Final = "vectors/1"


class Script:
    """Both sides, and what happened between them. Times are ms on the client's clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[dict[str, Any]] = []
        self._client = ClientSession(TOKEN, client=CLIENT)
        self._server = self._fresh(0.0)

    def as_vector(self) -> dict[str, Any]:
        return {"name": self.name, "token": TOKEN, "client": CLIENT, "steps": self.steps}

    # -- what a script is made of

    def connect(self, ms: float) -> None:
        """A new connection: the client says hello, the server welcomes it to the session that it finds."""
        hello = self._client.hello(ms)
        self._step("connect", ms, [hello])
        parsed = json.loads(hello)
        if "resume" in parsed and self._server.attach(WELCOME, parsed.get("last_s", 0), ms):
            pass
        else:
            self._server = self._fresh(ms)
            self._server.receive_text(hello, ms)
            self._server.open(WELCOME, ms)
        self._hear(ms)

    def say(self, ms: float, message: Numbered, *, arrives: bool = True) -> None:
        """The client wants to send a critical message; `arrives`: the connection is still good for it."""
        self._client.send(message)
        out = self._client.outgoing()
        self._step("send", ms, out, message=without_number(message), n=self._client._next_n - 1)
        if arrives:
            for data in out:
                self._server.receive_text(data, ms, 53_500)
            self._hear(ms)

    def tell(self, ms: float, message: m.ServerMessage, *, arrives: bool = True) -> None:
        """The server sends; what does not arrive is not in the script: the client cannot know of it."""
        self._server.send(message)
        if arrives:
            self._hear(ms)
        else:
            self._server.outgoing()

    def raw(self, ms: float, text: str) -> None:
        """The server sends something that these sessions would not."""
        self._receive(ms, text.encode())

    def refuse(self, ms: float, re: str, reason: Reason, n: int) -> None:
        self._server.refuse(re, reason, ms, n=n)
        self._hear(ms)

    def wait(self, ms: float) -> None:
        """The client looks at its clock."""
        self._client.poll(ms)
        out = self._client.outgoing()
        self._step("poll", ms, out)
        for data in out:
            self._server.receive_text(data, ms, 53_500)
        self._hear(ms)

    def cut(self, ms: float) -> None:
        """The connection is gone without a word."""
        self._client.detach()
        self._server.detach(ms)
        self._step("cut", ms, [])

    def forget(self) -> None:
        """The server's process dies, and with it the session."""
        self._server = self._fresh(0.0)

    # -- inside

    @staticmethod
    def _fresh(ms: float) -> ServerSession:
        return ServerSession(SessionId(WELCOME.session), WELCOME.resume_token, ms)

    def _hear(self, ms: float) -> None:
        while answers := self._server.outgoing():
            for data in answers:
                for reply in self._receive(ms, data):
                    self._server.receive_text(reply, ms, 53_500)

    def _receive(self, ms: float, data: bytes) -> list[bytes]:
        handed = self._client.receive_text(data, ms)
        out = self._client.outgoing()
        extra: dict[str, Any] = {"text": data.decode(), "handed": bool(handed), "last_s": self._client.last_s}
        if self._client.closing is not None:
            extra["broken"] = True
        self._step("receive", ms, out, **extra)
        return out

    def _step(self, do: str, ms: float, out: list[bytes], **more: Any) -> None:
        self.steps.append({"do": do, "ms": ms, **more, "out": [json.loads(data) for data in out]})


def without_number(message: Numbered) -> dict[str, Any]:
    plain = json.loads(m.encode(msgspec.structs.replace(message, n=0)))
    assert isinstance(plain, dict)
    return plain


def a_match_from_hello_to_its_end(s: Script) -> None:
    s.connect(0)
    s.say(40, m.Queue(mode="duel"))
    s.tell(60, m.Queued(ticket="t_1", mode="duel"))
    s.tell(1_060, m.QueueStatus(ticket="t_1", waited_ms=1_000, pool=2, eta_ms=300))
    s.wait(1_100)
    s.tell(1_400, FOUND)
    s.say(1_410, m.Join(match=FOUND.match, match_token=FOUND.match_token))
    s.tell(1_440, STARTED)
    s.wait(2_000)
    s.wait(6_000)
    s.tell(121_440, ENDED)
    s.wait(122_000)


def a_cut_in_the_middle_of_a_match(s: Script) -> None:
    s.connect(0)
    s.say(40, m.Queue(mode="duel"))
    s.tell(60, m.Queued(ticket="t_1", mode="duel"))
    s.tell(400, FOUND)
    s.say(410, m.Join(match=FOUND.match, match_token=FOUND.match_token))
    s.tell(440, STARTED)
    s.cut(5_000)
    s.tell(5_200, ENDED, arrives=False)
    s.say(5_300, m.Queue(mode="ffa"))
    s.connect(6_000)
    s.tell(6_050, m.Queued(ticket="t_2", mode="ffa"))
    s.wait(7_000)


def a_message_that_arrived_just_before_the_cut(s: Script) -> None:
    s.connect(0)
    s.say(100, m.Queue(mode="duel"))  # the server has it, the client cannot know
    s.cut(110)
    s.tell(120, m.Queued(ticket="t_1", mode="duel"), arrives=False)
    s.connect(400)
    s.say(500, m.Cancel(), arrives=False)  # lost on its way
    s.cut(510)
    s.connect(900)
    s.tell(930, m.Dequeued(ticket="t_1"))
    s.wait(1_500)


def two_cuts_and_nothing_twice(s: Script) -> None:
    s.connect(0)
    s.say(10, m.Queue(mode="duel"))
    s.tell(20, m.Queued(ticket="t_1", mode="duel"), arrives=False)
    s.cut(30)
    s.connect(100)
    s.cut(110)  # before it could acknowledge
    s.tell(120, FOUND, arrives=False)
    s.connect(200)
    s.raw(210, json.dumps({"t": "queued", "s": 1, "ticket": "t_1", "mode": "duel"}))  # once more: it is not handed out again
    s.wait(800)


def the_session_is_gone(s: Script) -> None:
    s.connect(0)
    s.say(10, m.Queue(mode="duel"))
    s.tell(20, m.Queued(ticket="t_1", mode="duel"))
    s.cut(30)
    s.say(40, m.Cancel())
    s.forget()
    s.connect(100)  # `resumed` is false: numbers begin anew, and the cancel of the old session is dropped
    s.say(150, m.Queue(mode="duel"))
    s.tell(160, m.Queued(ticket="t_2", mode="duel"))
    s.wait(700)


def refusals_and_their_numbers(s: Script) -> None:
    s.connect(0)
    s.say(10, m.Queue(mode="chess"))
    s.refuse(20, "queue", Reason.UNSUPPORTED, 1)  # number 1 is used up
    s.say(30, m.Queue(mode="duel"))
    s.tell(40, m.Queued(ticket="t_1", mode="duel"))
    s.wait(600)


def a_newer_server(s: Script) -> None:
    s.connect(0)
    s.raw(10, '{"t":"weather","sky":"clear"}')  # unknown: ignored
    s.raw(20, '{"t":"weather","s":1,"sky":"clear"}')  # unknown and critical: it counts
    s.raw(30, '{"t":"queued","s":2,"ticket":"t_1","mode":"duel","colour":"red"}')  # unknown field: ignored
    s.raw(600, '{"t":"pong","id":1,"tick":9,"server_ms":9,"received":0}')
    s.raw(700, '{"t":"queued","s":4,"ticket":"t_2","mode":"duel"}')  # 3 is missing: the client closes and resumes


def many_messages_are_acknowledged(s: Script) -> None:
    s.connect(0)
    for i in range(1, 18):
        s.tell(10 * i, m.Queued(ticket=f"t_{i}", mode="duel"))
    s.wait(400)
    s.wait(700)


SCRIPTS: Final[tuple[Callable[[Script], None], ...]] = (
    a_match_from_hello_to_its_end,
    a_cut_in_the_middle_of_a_match,
    a_message_that_arrived_just_before_the_cut,
    two_cuts_and_nothing_twice,
    the_session_is_gone,
    refusals_and_their_numbers,
    a_newer_server,
    many_messages_are_acknowledged,
)


def vectors() -> list[dict[str, Any]]:
    out = []
    for build in SCRIPTS:
        script = Script(build.__name__.replace("_", " "))
        build(script)
        out.append(script.as_vector())
    return out
