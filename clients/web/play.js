/** One match on the screen, played or watched: snapshots in, commands out, 60 frames a second. */

import { HIT, KILL, RESPAWN, decodeSnapshot as decodeView } from "../js/arena.js";
import { decodeSnapshot, difference, encodeCommand } from "../js/frames.js";
import { Timeline } from "../js/interpolate.js";
import { Effects } from "./effects.js";
import { person } from "./names.js";
import { RANGE, free } from "./sight.js";

const TICK_MS = 1000 / 60;
const BEHIND_MAX = 6; // ticks that one frame makes up for; a tab that slept does not send a burst
const COOLDOWN_TICKS = 10;
const BODY = 0.5;
const LATER_MAX = 40; // snapshots; a tab that was asleep shows no minute of fireworks

export class Match {
  /** `started`: `match_started`, or `watching` of a spectator (`seat` null). `hud` hears what is to be shown in words. */
  constructor({ started, map, renderer, input, predictor, send, hud, sound, reduced }) {
    Object.assign(this, { started, map, renderer, input, predictor, send, hud, sound });
    this.watching = started.seat === undefined || started.seat === null;
    this.people = new Map(started.roster.map((seat) => [seat.seat, seat]));
    this.timeline = new Timeline(started.tick_hz ?? 60);
    this.effects = new Effects(reduced);
    this.view = null;
    this.later = []; // shots and events of snapshots that are not on the screen yet
    this.frames = { count: 0, ms: [] }; // how long between frames, for benchmarks
    this.behindMs = 0;
    this.readyTick = 0;
    this.tickCount = 0;
    this.aim = null;
    this.clockMs = null;
    this.scores = new Map();
    if (!this.watching) predictor.reset();
  }

  /** After a resume: what was sent before does not count, and the ticks may be another process's. */
  resumed() {
    this.predictor.reset();
    this.timeline.reset();
    this.later = [];
    this.seenTick = undefined;
  }

  snapshot(data, nowMs) {
    const frame = decodeSnapshot(data);
    const view = frame && decodeView(frame.payload);
    if (!view || !this.timeline.push(frame.tick, view, nowMs)) return;
    this.view = view;
    if (!this.watching) this.predictor.confirm(view, frame.processed, difference);
    // What happened to others is shown with them, a moment late; one's own hits at once.
    for (const event of view.events) if (event.kind === HIT) this.#event(event, nowMs);
    this.later.push({ tick: frame.tick, shots: view.others.filter((o) => o.fired && o.alive), events: view.events.filter((e) => e.kind !== HIT) });
    if (this.later.length > LATER_MAX) this.later.shift();
    this.#leftMs = view.remaining_ms;
    this.hud.view(view);
  }

  #leftMs = 0;

  /** One frame of the screen; `gapMs` since the one before. */
  frame(nowMs, gapMs) {
    this.frames.count++;
    this.frames.ms.push(gapMs);
    if (this.frames.ms.length > 36000) this.frames.ms.splice(0, 18000);
    if (!this.renderer.resize(this.watching)) return; // nothing to draw on, and no place that a pointer could mean
    const shown = this.timeline.at(nowMs);
    while (this.later.length && shown && difference(this.later[0].tick, shown.tick) <= 0) {
      const { shots, events } = this.later.shift();
      for (const other of shots) this.#shot(other, other.aim * Math.PI * 2, nowMs, false);
      for (const event of events) this.#event(event, nowMs);
    }
    if (!this.watching) this.#ticks(gapMs, shown);
    const at = this.watching ? null : this.predictor.shown(Math.min(1, this.behindMs / TICK_MS), gapMs);
    const { view } = this;
    const self = view && at && {
      ...at,
      seat: this.started.seat,
      team: this.started.team,
      alive: view.alive,
      health: view.health,
      aim: this.aim ? Math.atan2(this.aim[1], this.aim[0]) / (2 * Math.PI) : 0,
      npc: false,
    };
    this.self = self;
    this.renderer.draw(
      {
        whole: this.watching,
        self,
        others: shown?.others ?? [],
        people: this.people,
        effects: this.effects,
        aim: this.aim,
        ready: this.tickCount >= this.readyTick,
        pointer: this.input?.by === "mouse" ? this.input.pointer : null,
        sticks: !this.watching && this.input?.by === "touch" ? this.input.sticks : null,
      },
      nowMs,
    );
    this.hud.left(this.#leftMs);
  }

  /** Sixtieths of a second that have passed: what the keys say now, stepped here and sent three at a time. */
  #ticks(gapMs, shown) {
    this.behindMs = Math.min(this.behindMs + gapMs, BEHIND_MAX * TICK_MS);
    while (this.behindMs >= TICK_MS) {
      this.behindMs -= TICK_MS;
      this.tickCount++;
      const from = this.self ?? this.predictor.body ?? this.renderer.camera;
      const subtick = this.input.sample(TICK_MS / 1000, (pointer) => this.renderer.toWorld(pointer, from));
      this.aim = [subtick.aim_x, subtick.aim_y];
      const alive = this.view?.alive ?? false;
      if (subtick.fire && alive && this.tickCount >= this.readyTick && this.self) this.#fire();
      const command = this.predictor.tick(subtick, alive);
      if (!command) continue;
      this.seenTick = this.#seen(shown);
      this.send(encodeCommand(command.sequence, performance.now(), this.seenTick, command.payload));
    }
  }

  /** The tick on the screen. It never goes back within a match: a later look cannot have seen less. */
  #seen(shown) {
    const tick = shown?.tick ?? this.started.tick;
    return this.seenTick !== undefined && this.timeline.lastTick !== null && difference(this.seenTick, tick) > 0 ? this.seenTick : tick;
  }

  /** One's own shot is shown at once; whether it hit is the server's to say. */
  #fire() {
    this.readyTick = this.tickCount + COOLDOWN_TICKS;
    this.#shot({ ...this.self, seat: this.started.seat }, Math.atan2(this.aim[1], this.aim[0]), performance.now(), true);
  }

  #shot(who, angle, nowMs, own) {
    const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
    let far = free(this.map, who.x, who.y, dx, dy, RANGE);
    const bodies = [...(this.view?.others ?? [])];
    if (!own && this.self?.alive) bodies.push(this.self);
    for (const other of bodies) {
      if (other.seat === who.seat || !other.alive || (other.team === who.team && this.people.size > 2)) continue;
      const [ox, oy] = [other.x - who.x, other.y - who.y];
      const along = ox * dx + oy * dy;
      if (along > 0 && along < far && Math.abs(ox * dy - oy * dx) < BODY) far = along;
    }
    const color = this.renderer.color(who.team);
    this.effects.add("shot", nowMs, { x: who.x + dx * 0.8, y: who.y + dy * 0.8, x1: who.x + dx * far, y1: who.y + dy * far, color });
    this.sound.play(own ? "shot" : "far");
  }

  #event({ kind, by, of, value }, nowMs) {
    const own = this.watching ? -1 : this.started.seat;
    const where = of === own ? this.self : this.view.others.find((other) => other.seat === of) ?? this.#last(of);
    if (kind === HIT) {
      if (of === own) {
        this.effects.hurtMs = nowMs;
        this.sound.play("hurt");
      } else if (where) {
        this.effects.add("number", nowMs, { x: where.x, y: where.y, text: String(value), color: by === own ? "#ffffff" : "#a9b7ca" });
        if (by === own) this.sound.play("hit");
      }
    } else if (kind === KILL) {
      if (where) this.effects.burst(nowMs, where.x, where.y, this.renderer.color(this.people.get(of)?.team ?? 0), 14);
      this.scores.set(by, (this.scores.get(by) ?? 0) + (by === of ? 0 : 1));
      this.hud.kill(this.people.get(by), this.people.get(of), by === own || of === own);
      if (of === own) this.sound.play("death");
      else if (by === own) this.sound.play("kill");
    } else if (kind === RESPAWN && where) {
      this.effects.add("ring", nowMs, { x: where.x, y: where.y, color: "#ffffff" });
    }
  }

  #last(seat) {
    const { snapshots } = this.timeline;
    for (let i = snapshots.length - 1; i >= 0; i--) {
      const found = snapshots[i].view.others.find((other) => other.seat === seat);
      if (found) return found;
    }
    return null;
  }

  /** Rows of a scoreboard, best first: kills that this client heard of. */
  table() {
    return [...this.people.values()]
      .map((seat) => ({ seat, ...person(seat), score: seat.seat === this.started.seat ? (this.view?.score ?? 0) : (this.scores.get(seat.seat) ?? 0) }))
      .sort((a, b) => b.score - a.score);
  }
}
