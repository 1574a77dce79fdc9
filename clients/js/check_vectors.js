/**
 * `node clients/js/check_vectors.js [folder]`: check this client against the golden frames. Prints one JSON line: how many of each
 * were checked, and what differs; exits 1 where something does.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import * as arena from "./arena.js";
import { REASONS, retryAfter } from "./close.js";
import * as frames from "./frames.js";
import { ClientSession } from "./session.js";

const folder = process.argv[2] ?? fileURLToPath(new URL("../vectors/", import.meta.url));
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");
const differences = [];
const checked = {};

function same(kind, what, found, wanted) {
  checked[kind] = (checked[kind] ?? 0) + 1;
  if (!isDeepStrictEqual(found, wanted)) differences.push({ kind, what, found, wanted });
}

const frameVectors = read("frames.json");
for (const v of frameVectors.commands) {
  same("commands", v.hex, hex(frames.encodeCommand(v.sequence, v.client_ms, v.seen_tick, bytes(v.payload))), v.hex);
}
for (const { hex: data, payload, ...header } of frameVectors.snapshots) {
  const found = frames.decodeSnapshot(bytes(data));
  same("snapshots", data, found && { ...found, payload: hex(found.payload) }, { ...header, payload });
}
for (const v of frameVectors.bad_snapshots) same("bad_snapshots", v.why, frames.decodeSnapshot(bytes(v.hex)), null);
for (const v of frameVectors.differences) same("differences", v, frames.difference(v.a, v.b), v.difference);

const arenaVectors = read("arena.json");
for (const v of arenaVectors.commands) same("arena_commands", v.name, hex(arena.encodeCommand(v.subticks)), v.hex);
for (const v of arenaVectors.snapshots) same("arena_snapshots", v.name, arena.decodeSnapshot(bytes(v.hex)), v.view);
for (const v of arenaVectors.bad_snapshots) same("arena_bad_snapshots", v.why, arena.decodeSnapshot(bytes(v.hex)), null);

const map = read("arena_map.json");
for (const v of read("moves.json")) {
  let [x, y, vx, vy] = v.start;
  let body = { x, y, vx, vy };
  v.way.forEach((wanted, tick) => {
    body = arena.step(body, ...v.move, map);
    const found = [body.x, body.y, body.vx, body.vy];
    const near = found.every((value, i) => Math.abs(value - wanted[i]) <= v.tolerance);
    same("moves", `${v.name}, tick ${tick + 1}`, near ? wanted : found, wanted);
  });
}

for (const v of read("close.json")) {
  same("close", v.code, { reason: REASONS[v.code] ?? null, retry: retryAfter(v.code) }, { reason: v.reason, retry: v.retry });
}

const messageVectors = read("messages.json");
for (const v of messageVectors.server) same("messages", v.t, JSON.parse(Buffer.from(v.hex, "hex").toString()), v.message);
for (const v of messageVectors.client) same("messages", v.t, hex(Buffer.from(JSON.stringify(v.message))), v.hex);

for (const script of read("sessions.json")) {
  const session = new ClientSession(script.token, script.client);
  script.steps.forEach((step, i) => {
    const what = `${script.name}, step ${i + 1} (${step.do})`;
    let out = [];
    if (step.do === "connect") out = [session.hello()];
    else if (step.do === "send") same("sessions", `${what}: n`, session.send(step.message), step.n);
    else if (step.do === "poll") session.poll(step.ms);
    else if (step.do === "cut") session.detach();
    else {
      same("sessions", `${what}: handed out`, session.receive(step.text, step.ms).length > 0, step.handed);
      same("sessions", `${what}: last_s`, session.lastS, step.last_s);
      same("sessions", `${what}: broken`, session.broken !== "", step.broken ?? false);
    }
    same("sessions", what, [...out, ...session.outgoing()].map((text) => JSON.parse(text)), step.out);
  });
}

console.log(JSON.stringify({ checked, differences }));
process.exit(differences.length ? 1 : 0);
