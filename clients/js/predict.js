/**
 * Where oneself is before the server has confirmed it: "Prediction" in docs/protocol.md. No clock and no I/O: the caller steps it
 * 60 times a second.
 */

import { encodeCommand, step } from "./arena.js";

const SUBTICKS = 3; // of a command
const UNCONFIRMED_MAX = 40; // commands, 2 s: beyond it nothing was confirmed for so long that guessing on is worth nothing
const JUMP = 2; // world units: a larger error is shown at once
const BLEND_MS = 100; // a smaller one fades in about this time
const STILL = { aim_x: 0, aim_y: 0, move_x: 0, move_y: 0, fire: false, dt_ms: 17 };
const far = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) > JUMP;

/** A wish as the server will read it: eighths of a bit are lost on the way, and both must step by the same numbers. */
export const rounded = (move) => Math.max(-127, Math.min(127, Math.round(move * 127))) / 127;

export class Predictor {
  constructor(map) {
    this.map = map;
    this.body = null; // where the simulation will be: {x, y, vx, vy}
    this.sequence = 0; // through all matches and connections of a session
    this.correction = 0; // the newest error in world units, for people who look at networks
    this.reset();
  }

  /** A new match, or the same one after a lost connection: nothing that was sent before counts any more. */
  reset() {
    this.body = null;
    this.before = null;
    this.sent = []; // [{sequence, moves: [[x, y], ...]}] that the server has not used up
    this.pending = []; // sub-ticks of the command that is being filled
    this.error = { x: 0, y: 0 };
  }

  /** One sixtieth of a second with `subtick`; the command's payload with its number where one is full, else null. */
  tick(subtick, alive) {
    const wish = { ...subtick, move_x: rounded(subtick.move_x), move_y: rounded(subtick.move_y) };
    this.pending.push(wish);
    if (this.body) {
      this.before = this.body;
      if (alive) this.body = step(this.body, wish.move_x, wish.move_y, this.map);
    }
    if (this.pending.length < SUBTICKS) return null;
    const command = { sequence: ++this.sequence, payload: encodeCommand(this.pending) };
    this.sent.push({ sequence: command.sequence, moves: this.pending.map((w) => [w.move_x, w.move_y]) });
    if (this.sent.length > UNCONFIRMED_MAX) this.sent.shift();
    this.pending = [];
    return command;
  }

  /** What the server says: `view` of the arena, and the last command that it has used up. */
  confirm(view, processed, difference) {
    this.sent = this.sent.filter((command) => difference(command.sequence, processed) > 0);
    let body = { x: view.x, y: view.y, vx: view.vx, vy: view.vy };
    const shown = this.body;
    if (view.alive) {
      for (const { moves } of this.sent) for (const [x, y] of moves) body = step(body, x, y, this.map);
      for (const wish of this.pending) body = step(body, wish.move_x, wish.move_y, this.map);
    }
    this.body = body;
    if (!shown || !view.alive || far(shown, body)) {
      this.before = body;
      this.error = { x: 0, y: 0 };
      return;
    }
    const [dx, dy] = [shown.x - body.x, shown.y - body.y];
    this.correction = Math.hypot(dx, dy);
    // What was on the screen stays there; the difference fades.
    this.error = { x: this.error.x + dx, y: this.error.y + dy };
    if (this.before) this.before = { ...this.before, x: this.before.x - dx, y: this.before.y - dy };
    if (Math.hypot(this.error.x, this.error.y) > JUMP) this.error = { x: 0, y: 0 };
  }

  /** Where to draw oneself, `part` (0 to 1) of a tick after the newest one. */
  shown(part, elapsedMs) {
    if (!this.body) return null;
    const keep = Math.exp((-3 * elapsedMs) / BLEND_MS); // 5 % are left after BLEND_MS
    this.error = { x: this.error.x * keep, y: this.error.y * keep };
    const from = this.before && !far(this.before, this.body) ? this.before : this.body;
    return {
      x: from.x + (this.body.x - from.x) * part + this.error.x,
      y: from.y + (this.body.y - from.y) * part + this.error.y,
    };
  }
}

export { STILL };
