"""What a decision costs: the engine and the learned NPC beside the raw forward pass, under overload, and through a swap.

Everything on one core, inline, as a tick does it. `quick` shortens the runs. Baselines are measured in the same run.
"""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gameedge.arena.arena import Arena
from gameedge.core.game import Seat
from gameedge.core.npc import observation as o
from gameedge.core.npc import policy
from gameedge.core.npc.scripted import ScriptedPolicy
from gameedge.core.npc.style import STYLES
from gameedge.inference.autotune import Tuned
from gameedge.inference.backends.npc_policy import NpcPolicy
from gameedge.inference.base import Floats
from gameedge.inference.depot import Depot
from gameedge.inference.engine import Engine
from gameedge.inference.shared import SharedNet
from loadtest.bench import inference_http
from loadtest.bench.report import Row, row

Entities = NDArray[np.int32]
_counted = [0, 0]  # calls timed, and those of them left out

NPCS: Final = 256
CROWD: Final = 2_048
TICK_MS: Final = 1000.0 / 60.0


def run(notes: list[str], *, quick: bool = False) -> list[Row]:
    calls = 200 if quick else 3_000
    npc = _policy()
    rows, entities = _rows(CROWD)
    net = npc.net
    assert isinstance(net, Tuned)
    notes.append(f"autotuned: {net.describe()}")
    found = _forward(net)
    found += _latency(npc, rows, entities, calls)
    found += _throughput(npc, rows, entities, max(calls // 10, 20))
    found += _overhead(npc, calls)
    found += _a_tick(npc, calls // 2)
    found += _overload(npc, rows, entities, max(calls // 10, 50))
    found += _swap(rows, entities, max(calls // 10, 50))
    found += _shared(npc, calls // 2, notes)
    found += _against_requests(npc, calls, 5 if quick else 40)
    timed, left_out = _counted
    notes.append(f"{left_out} of {timed} calls, in which another program took the core, were left out (of the last six rows: none)")
    return found


def _policy() -> NpcPolicy:
    backend = Depot().build("npc", CROWD)
    assert isinstance(backend, NpcPolicy)
    return backend


def _rows(n: int) -> tuple[Floats, Entities]:
    """Observations of n NPCs in the middle of squad matches."""
    arena, script = Arena(matches_max=n // 10 + 1, entities_max=n + 10), ScriptedPolicy(entities_max=n + 10)
    for match in range(n // 10 + 1):
        arena.open_match("squads", match, [Seat(seat // 5, None, 5, STYLES[(match + seat) % 8]) for seat in range(10)])
    npcs = arena.npcs()
    rows, out = np.zeros((len(npcs), o.OBSERVATION_SIZE), np.float32), np.zeros((len(npcs), 5), np.float32)
    for _ in range(600):
        arena.observe(npcs, rows)
        script.run(rows, npcs, out)
        arena.act(npcs, out)
        arena.step()
    return rows[:n].copy(), np.arange(n, dtype=np.int32)


def _interrupted() -> int:
    """How often the core was taken from this thread so far."""
    who = getattr(resource, "RUSAGE_THREAD", None)
    return 0 if who is None else resource.getrusage(who).ru_nivcsw


def _times(call: Callable[[], object], calls: int, *, quiet: bool = True) -> Floats:
    """us of each call, after a tenth as many to warm up. `quiet`: without those in which another program took the core meanwhile."""
    for _ in range(max(calls // 10, 5)):
        call()
    took, whole = np.zeros(calls, np.float32), np.ones(calls, np.bool_)
    for i in range(calls):
        before = _interrupted()
        began = perf_counter_ns()
        call()
        took[i] = (perf_counter_ns() - began) / 1e3
        whole[i] = _interrupted() == before
    if quiet:
        _counted[0] += calls
        _counted[1] += int((~whole).sum())
    return took[whole] if quiet and whole.any() else took


def _engine(npc: NpcPolicy, deadline_ms: float = 1e6) -> Engine:
    engine = Engine(entities_max=CROWD)
    engine.register("npc", npc, CROWD, deadline_ms, ScriptedPolicy(entities_max=CROWD))
    return engine


def _raw(npc: NpcPolicy, n: int) -> Callable[[], object]:
    """The bare forward pass of the same net in its fastest way: into buffers that exist, nothing else."""
    assert isinstance(npc.net, Tuned)
    x, out = np.random.default_rng(1).uniform(-1, 1, (n, policy.FEATURE_SIZE)).astype(np.float32), np.zeros((n, policy.LOGITS), np.float32)
    some, net = np.arange(n, dtype=np.int32), npc.net.pick(n)
    return lambda: net.run(x, some, out)


def _forward(net: Tuned) -> list[Row]:
    """Each way to run the net, timed as at an edge's start; the baseline is numpy with its matrix library."""
    took = {(timing.rows, timing.backend): timing.took_us for timing in net.timings}
    return [
        row(f"forward pass alone, {n} rows, {kind}", took[n, kind], "us", baseline=took[n, "numpy"])
        for n in (16, NPCS)
        for kind in dict.fromkeys(timing.backend for timing in net.timings)
        if kind != "numpy"
    ]


def _latency(npc: NpcPolicy, rows: Floats, entities: Entities, calls: int) -> list[Row]:
    engine = _engine(npc)
    who = entities[:NPCS]
    engine.rows("npc", NPCS)[:] = rows[:NPCS]
    took = _times(lambda: engine.run("npc", who, NPCS), calls)
    p50, p99 = np.percentile(took, (50, 99)).tolist()
    base = float(np.median(_times(_raw(npc, NPCS), calls)))
    return [
        row("observation ready to action, 256 NPCs all deciding, p50", p50, "us", at_most=110.0, baseline=base),
        row("observation ready to action, 256 NPCs all deciding, p99", p99, "us", at_most=250.0),
    ]


def _throughput(npc: NpcPolicy, rows: Floats, entities: Entities, calls: int) -> list[Row]:
    engine = _engine(npc)
    engine.rows("npc", CROWD)[:] = rows
    took = float(np.median(_times(lambda: engine.run("npc", entities, CROWD), calls)))
    net = float(np.median(_times(_raw(npc, CROWD), calls)))
    coast = float(np.median(_times(lambda: engine.coast("npc", entities), calls)))
    each_tick = (took + (policy.DECIDE_TICKS - 1) * coast) / policy.DECIDE_TICKS
    return [
        row("decisions a second, 2,048 NPCs all deciding", CROWD / took * 1e6, "1/s", at_least=3e6, baseline=CROWD / net * 1e6),
        row("actions a second as served: a decision every third tick, the hand every tick", CROWD / each_tick * 1e6, "1/s", at_least=3e6),
    ]


class _Bare:
    """A net as a backend of the engine: what is left is the engine."""

    def __init__(self, npc: NpcPolicy, n: int) -> None:
        assert isinstance(npc.net, Tuned)
        self.net = npc.net.pick(n)
        self.name, self.input_size, self.output_size = "bare", self.net.input_size, self.net.output_size
        self.run, self.forget = self.net.run, self.net.forget


def _overhead(npc: NpcPolicy, calls: int) -> list[Row]:
    found = []
    for n, most in ((256, None), (16, 3.0)):
        engine = Engine(entities_max=CROWD)
        engine.register("bare", _Bare(npc, n), CROWD, 1e6)
        engine.rows("bare", n)[:] = np.random.default_rng(1).uniform(-1, 1, (n, policy.FEATURE_SIZE))
        who, raw = np.arange(n, dtype=np.int32), _raw(npc, n)

        def served(engine: Engine = engine, who: Entities = who, n: int = n) -> object:
            return engine.run("bare", who, n)

        pairs = [(float(np.median(_times(served, calls // 10))), float(np.median(_times(raw, calls // 10)))) for _ in range(9)]
        whole, base = (float(np.median([pair[k] for pair in pairs])) for k in (0, 1))
        if most is None:
            found.append(row(f"the engine around the raw forward pass, {n} rows", whole, "us", baseline=base, ratio_at_most=1.05))
        else:
            found.append(row(f"the engine's own time, {n} rows", whole - base, "us", at_most=most))
    return found


def _a_tick(npc: NpcPolicy, calls: int) -> list[Row]:
    """Observe, decide, move and act for 256 NPCs as the tick does it."""
    arena = Arena(matches_max=32, entities_max=320)
    for match in range(26):
        arena.open_match("squads", match, [Seat(seat // 5, None, 5, STYLES[seat % 8]) for seat in range(10)])
    took = {}
    for name, backend in (("learned", npc), ("scripted", ScriptedPolicy(entities_max=CROWD))):
        engine = Engine(entities_max=CROWD)
        engine.register("npc", backend, CROWD, 1e6)
        npcs = arena.npcs()[:NPCS]

        def think(engine: Engine = engine, npcs: Entities = npcs) -> None:
            engine.begin_tick()
            due, rest = engine.split("npc", npcs)
            if len(due):
                arena.observe(due, engine.rows("npc", len(due)))
                arena.act(due, engine.run("npc", due, len(due)))
            if len(rest):
                arena.act(rest, engine.coast("npc", rest))

        took[name] = _times(think, calls)
    p99 = float(np.percentile(took["learned"], 99))
    base = float(np.median(took["scripted"]))
    return [
        row("a tick's thinking with observing, 256 NPCs, p50 (baseline: scripted)", float(np.median(took["learned"])), "us", baseline=base),
        row("a tick's thinking with observing, 256 NPCs, p99", p99, "us"),
    ]


def _overload(npc: NpcPolicy, rows: Floats, entities: Entities, calls: int) -> list[Row]:
    """Half of the time that the rows need: who is answered, and is everyone counted?"""
    free = _engine(npc)
    free.rows("npc", CROWD)[:] = rows
    needs_ms = float(np.median(_times(lambda: free.run("npc", entities, CROWD), 40))) / 1e3
    engine = _engine(npc, needs_ms / 2.0)
    answered, took = 0, np.zeros(calls)
    for call in range(calls):
        engine.rows("npc", CROWD)[:] = rows
        began = perf_counter_ns()
        out = engine.run("npc", entities, CROWD)
        took[call] = (perf_counter_ns() - began) / 1e6
        answered += int(np.isfinite(out).all(axis=1).sum())
    figures = engine.figures("npc")
    assert figures is not None
    counted = figures.actions + figures.held + figures.fallbacks
    return [
        row("answered within the call under 2x overload", answered / (calls * CROWD), "share", at_least=1.0),
        row("of them counted as action, held or fallback", counted / (calls * CROWD), "share", at_least=1.0),
        row("of them by the model itself", figures.actions / max(counted, 1), "share"),
        row("duration of an overloaded call over its deadline, p50", float(np.median(took)) / (needs_ms / 2.0), "share"),
    ]


def _swap(rows: Floats, entities: Entities, calls: int) -> list[Row]:
    """Another policy every tenth call, between two calls."""
    policies = [_policy(), _policy()]
    engine = _engine(policies[0])
    plain, swaps, answered = [], [], 0
    for call in range(calls):
        engine.rows("npc", CROWD)[:] = rows
        began = perf_counter_ns()
        if call % 10 == 9:
            engine.swap("npc", policies[call // 10 % 2])
            swaps.append((perf_counter_ns() - began) / 1e6)
        else:
            plain.append(0.0)
        answered += int(np.isfinite(engine.run("npc", entities, CROWD)).all(axis=1).sum())
    return [
        row("hot swap, p99", float(np.percentile(swaps, 99)) / TICK_MS, "ticks", at_most=1.0),
        row("decisions dropped while swapping", float(calls * CROWD - answered), "rows", at_most=0.0),
    ]


def _shared(npc: NpcPolicy, calls: int, notes: list[str]) -> list[Row]:
    """The same forward pass in an engine process, through shared memory."""
    if not hasattr(os, "memfd_create"):
        notes.append("the engine process needs Linux: not measured")
        return []
    found = []
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "engine.toml"
        config.write_text(f'socket = "{folder}/engine.sock"\nlog_level = "warning"\n')
        command = [sys.executable, "-m", "gameedge", "inference", "--config", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()
                net = SharedNet(f"{folder}/engine.sock", npc.name, (policy.FEATURE_SIZE, policy.LOGITS), wait_ms=1_000.0)
                for n in (16, NPCS):
                    x, out = np.zeros((n, policy.FEATURE_SIZE), np.float32), np.zeros((n, policy.LOGITS), np.float32)
                    x[:] = np.random.default_rng(1).uniform(-1, 1, x.shape)
                    some = np.arange(n, dtype=np.int32)

                    def ask(x: Floats = x, some: Entities = some, out: Floats = out) -> None:
                        net.run(x, some, out)

                    took = _times(ask, calls, quiet=False)
                    inline = _times(_raw(npc, n), calls, quiet=False)
                    for q in (50, 99):
                        value, base = float(np.percentile(took, q)), float(np.percentile(inline, q))
                        name = f"forward pass in an engine process, {n} rows, p{q} (baseline: inline)"
                        found.append(row(name, value, "us", baseline=base))
                net.close()
            finally:
                process.kill()
    return found


def _against_requests(npc: NpcPolicy, calls: int, bursts: int) -> list[Row]:
    """256 decisions at once as HTTP requests to a server that batches them (inference_http.py), and as one call."""
    served = inference_http.measure(NPCS, bursts) * 1e3
    engine = Engine(entities_max=CROWD)
    engine.register("bare", _Bare(npc, NPCS), CROWD, 1e6)
    engine.rows("bare", NPCS)[:] = np.random.default_rng(1).uniform(-1, 1, (NPCS, policy.FEATURE_SIZE))
    who = np.arange(NPCS, dtype=np.int32)
    ours = _times(lambda: engine.run("bare", who, NPCS), calls, quiet=False)
    found = []
    for q, most in ((50, None), (99, 0.05)):
        name = f"p{q} of a decision, 256 at once, against a request a row to a batching server"
        value, base = float(np.percentile(ours, q)), float(np.percentile(served, q))
        found.append(row(name, value, "us", baseline=base, ratio_at_most=most))
    return found
