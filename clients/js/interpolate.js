/**
 * The others, shown a little in the past between two snapshots: "Interpolation" in docs/protocol.md. No I/O; times are arguments.
 */

import { difference } from "./frames.js";

const DELAY_MS = 100; // two snapshots: one that is late does not show
const DELAY_MS_MAX = 160; // of a jittery connection
const EXTRAPOLATE_MS = 150;
const KEPT = 40; // snapshots, 2 s
const TELEPORT = 3; // world units between two snapshots: somebody began anew, no way to draw between
const FADE_MS = 180;

export class Timeline {
  constructor(tickHz = 60) {
    this.msPerTick = 1000 / tickHz;
    this.reset();
  }

  reset() {
    this.snapshots = []; // {tick, ms, view}; ms: tick on a clock that begins at the first one
    this.base = null;
    this.offset = null; // our clock minus theirs, smoothed
    this.jitterMs = 0;
    this.lastTick = null;
    this.expected = 0;
    this.missing = 0;
    this.faded = new Map(); // seat → {other, lostMs}
  }

  /** Take a snapshot that came at `nowMs`. False: an old one. */
  push(tick, view, nowMs) {
    if (this.lastTick !== null && difference(tick, this.lastTick) <= 0) return false;
    this.base ??= tick;
    if (this.lastTick !== null) {
      const steps = Math.max(1, Math.round(difference(tick, this.lastTick) / 3));
      this.expected += steps;
      this.missing += steps - 1;
    }
    this.lastTick = tick;
    const ms = difference(tick, this.base) * this.msPerTick;
    const offset = nowMs - ms;
    if (this.offset === null || Math.abs(offset - this.offset) > 1000) this.offset = offset;
    const late = offset - this.offset;
    this.jitterMs += (Math.abs(late) - this.jitterMs) * 0.06;
    this.offset += late * (late < 0 ? 0.15 : 0.03); // early ones are right, late ones were held up on the way
    this.snapshots.push({ tick, ms, view });
    if (this.snapshots.length > KEPT) this.snapshots.shift();
    return true;
  }

  get delayMs() {
    return Math.min(DELAY_MS_MAX, DELAY_MS + 2 * this.jitterMs);
  }

  /** `{others, tick}` at `nowMs`: who is where, and which tick that is (for `seen_tick`); null before the first snapshot. */
  at(nowMs) {
    const { snapshots } = this;
    if (!snapshots.length) return null;
    const newest = snapshots[snapshots.length - 1];
    const ms = Math.min(nowMs - this.offset - this.delayMs, newest.ms + EXTRAPOLATE_MS);
    let i = snapshots.length - 1;
    while (i > 0 && snapshots[i].ms > ms) i--;
    const [from, to] = [snapshots[i], snapshots[i + 1]];
    const shown = to && ms > from.ms ? between(from, to, (ms - from.ms) / (to.ms - from.ms)) : ahead(from, Math.max(0, ms - from.ms));
    // Nobody can have seen what has not come yet.
    const tick = Math.min(this.base + Math.round(ms / this.msPerTick), newest.tick);
    return { others: this.#fading(shown, nowMs), tick: Math.max(tick, snapshots[0].tick) };
  }

  /** Who went out of sight stays for a moment and fades, where it was last. */
  #fading(shown, nowMs) {
    const here = new Set(shown.map((other) => other.seat));
    for (const seat of here) this.faded.delete(seat);
    for (const other of this.shown ?? []) {
      if (!here.has(other.seat) && !this.faded.has(other.seat)) this.faded.set(other.seat, { other, lostMs: nowMs });
    }
    this.shown = shown;
    const fading = [];
    for (const [seat, { other, lostMs }] of this.faded) {
      const alpha = 1 - (nowMs - lostMs) / FADE_MS;
      if (alpha <= 0) this.faded.delete(seat);
      else fading.push({ ...other, alpha });
    }
    return [...shown, ...fading];
  }
}

function between(from, to, part) {
  const after = new Map(to.view.others.map((other) => [other.seat, other]));
  const shown = [];
  for (const other of from.view.others) {
    const next = after.get(other.seat);
    if (!next) continue;
    const leap = Math.hypot(next.x - other.x, next.y - other.y) > TELEPORT || other.alive !== next.alive;
    const turn = ((next.aim - other.aim + 1.5) % 1) - 0.5;
    shown.push(leap ? next : { ...next, x: mix(other.x, next.x, part), y: mix(other.y, next.y, part), aim: other.aim + turn * part });
    after.delete(other.seat);
  }
  // Those who just stepped into view are there from the moment they were seen.
  if (part > 0.5) shown.push(...after.values());
  return shown;
}

function ahead(from, ms) {
  const s = Math.min(ms, EXTRAPOLATE_MS) / 1000;
  return from.view.others.map((other) => (other.alive ? { ...other, x: other.x + other.vx * s, y: other.y + other.vy * s } : other));
}

const mix = (a, b, part) => a + (b - a) * part;
