/**
 * The arena's payloads inside frames, see "The arena" in docs/protocol.md. World units in and out; field names are the document's.
 * Runs in browsers and in Node.
 */

import { viewOf } from "./frames.js";

export const COMMAND_SIZE = 24;
export const HIT = 1;
export const KILL = 2;
export const RESPAWN = 3;
export const TICK_S = 1 / 60;
export const SPEED_MAX = 6; // world units a second
export const ACCELERATION = 60; // world units a second, a second
export const REPEAT_TICKS = 6; // without new input the last movement goes on for this long

const SUBTICKS = 3;
const SELF_SIZE = 20;
const OTHER_SIZE = 12;
const EVENT_SIZE = 4;
const bounded = (value, scale, bound) => Math.max(-bound, Math.min(bound, Math.round(value * scale)));

/** Payload of a command from three sub-ticks `{aim_x, aim_y, move_x, move_y, fire, dt_ms}`, oldest first. */
export function encodeCommand(subticks) {
  if (subticks.length !== SUBTICKS) throw new RangeError(`a command has ${SUBTICKS} sub-ticks`);
  const view = new DataView(new ArrayBuffer(COMMAND_SIZE));
  subticks.forEach((subtick, i) => {
    const at = 8 * i;
    view.setInt16(at, bounded(subtick.aim_x, 32, 32767), true);
    view.setInt16(at + 2, bounded(subtick.aim_y, 32, 32767), true);
    view.setInt8(at + 4, bounded(subtick.move_x, 127, 127));
    view.setInt8(at + 5, bounded(subtick.move_y, 127, 127));
    view.setUint8(at + 6, subtick.fire ? 1 : 0);
    view.setUint8(at + 7, Math.max(0, Math.min(255, subtick.dt_ms ?? 17)));
  });
  return new Uint8Array(view.buffer);
}

/** A snapshot's payload in world units, or null where it is not one. */
export function decodeSnapshot(payload) {
  const v = viewOf(payload);
  if (v.byteLength < SELF_SIZE) return null;
  const teams = v.getUint8(15);
  const others = v.getUint8(18);
  const events = v.getUint8(19);
  const othersAt = SELF_SIZE + 2 * teams;
  const eventsAt = othersAt + OTHER_SIZE * others;
  if (v.byteLength !== eventsAt + EVENT_SIZE * events) return null;
  return {
    seat: v.getUint8(0),
    alive: (v.getUint8(1) & 1) === 1,
    health: v.getUint8(2),
    cooldown_ticks: v.getUint8(3),
    x: v.getInt16(4, true) / 64,
    y: v.getInt16(6, true) / 64,
    vx: v.getInt16(8, true) / 64,
    vy: v.getInt16(10, true) / 64,
    remaining_ms: v.getUint16(12, true) * 100,
    respawn_ticks: v.getUint8(14),
    score: v.getUint16(16, true),
    team_scores: Array.from({ length: teams }, (_, i) => v.getInt16(SELF_SIZE + 2 * i, true)),
    others: Array.from({ length: others }, (_, i) => decodeOther(v, othersAt + OTHER_SIZE * i)),
    events: Array.from({ length: events }, (_, i) => decodeEvent(v, eventsAt + EVENT_SIZE * i)),
  };
}

function decodeOther(v, at) {
  const flags = v.getUint8(at + 1);
  return {
    seat: v.getUint8(at),
    team: flags & 7,
    alive: (flags & 8) !== 0,
    npc: (flags & 16) !== 0,
    fired: (flags & 32) !== 0,
    x: v.getInt16(at + 2, true) / 64,
    y: v.getInt16(at + 4, true) / 64,
    vx: v.getInt8(at + 6) / 16,
    vy: v.getInt8(at + 7) / 16,
    aim: v.getUint16(at + 8, true) / 65536,
    health: v.getUint8(at + 10),
  };
}

function decodeEvent(v, at) {
  return { kind: v.getUint8(at), by: v.getUint8(at + 1), of: v.getUint8(at + 2), value: v.getUint8(at + 3) };
}

/**
 * Where an entity is one tick later: acceleration, movement, walls. `body` is `{x, y, vx, vy}`, `map` is arena_map.json.
 * The same arithmetic as the server's, so that a client can predict itself (docs/protocol.md, "Prediction").
 */
export function step(body, moveX, moveY, map) {
  const length = Math.hypot(moveX, moveY);
  const shrink = length > 1 ? 1 / length : 1;
  let dvx = moveX * shrink * SPEED_MAX - body.vx;
  let dvy = moveY * shrink * SPEED_MAX - body.vy;
  const change = Math.hypot(dvx, dvy);
  const most = ACCELERATION * TICK_S;
  if (change > most) {
    dvx *= most / change;
    dvy *= most / change;
  }
  const next = { ...body, vx: body.vx + dvx, vy: body.vy + dvy };
  next.x += next.vx * TICK_S;
  next.y += next.vy * TICK_S;
  for (const wall of map.walls) pushOut(next, wall, map.radius);
  for (const [at, speed] of [["x", "vx"], ["y", "vy"]]) {
    const inside = Math.max(map.radius, Math.min(map.size - map.radius, next[at]));
    if (inside !== next[at]) {
      next[at] = inside;
      next[speed] = 0;
    }
  }
  return next;
}

function pushOut(body, [x0, y0, x1, y1], radius) {
  const dx = body.x - Math.max(x0, Math.min(x1, body.x));
  const dy = body.y - Math.max(y0, Math.min(y1, body.y));
  const distance = Math.hypot(dx, dy);
  if (distance < 1e-9 || distance >= radius) return;
  const nx = dx / distance;
  const ny = dy / distance;
  body.x += nx * (radius - distance);
  body.y += ny * (radius - distance);
  const into = body.vx * nx + body.vy * ny;
  if (into < 0) {
    body.vx -= into * nx;
    body.vy -= into * ny;
  }
}
