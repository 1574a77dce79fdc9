/**
 * `node client.js COORDINATOR [mode] [--trace FILE]`: a whole player, by docs/protocol.md alone.
 *
 * It signs up, measures the regions, is placed, queues, plays a match (runs, aims, shoots), loses its connection once in the
 * middle, resumes, hears the result, and prints one JSON line about all of it. Exit status 0: everything happened as documented.
 */

import { appendFileSync, readFileSync } from "node:fs";

import * as arena from "../../../clients/js/arena.js";
import { retryAfter } from "../../../clients/js/close.js";
import { decodeSnapshot, difference, encodeCommand } from "../../../clients/js/frames.js";
import { ClientSession } from "../../../clients/js/session.js";
import { connect } from "./websocket.js";

const SUBPROTOCOL = "gameedge.v1";
const map = JSON.parse(readFileSync(new URL("../../../clients/vectors/arena_map.json", import.meta.url), "utf8"));
const now = () => performance.now();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const [coordinator, ...rest] = process.argv.slice(2);
const traceFile = rest.includes("--trace") ? rest[rest.indexOf("--trace") + 1] : null;
const mode = rest[0] && rest[0] !== "--trace" ? rest[0] : "duel";

function trace(way, what) {
  if (traceFile) appendFileSync(traceFile, `${way} ${typeof what === "string" ? what : Buffer.from(what).toString("hex")}\n`);
}

// ------------------------------------------------------------------------------------------------------------- placement

async function http(method, path, body) {
  const text = body && JSON.stringify(body);
  trace(">", `${method} ${path} ${text ?? ""}`);
  const response = await fetch(coordinator + path, { method, body: text, headers: text ? { "content-type": "application/json" } : {} });
  const answer = await response.text();
  trace("<", `${response.status} ${answer}`);
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
  return JSON.parse(answer);
}

/** Three round trips to one beacon, by the protocol's own ping before any hello: what a browser can do, too. */
async function measure(url) {
  const socket = await connect(url, SUBPROTOCOL, 3000);
  const samples = [];
  for (let id = 0; id < 3; id++) {
    const sent = now();
    const pong = await new Promise((resolve, reject) => {
      socket.onmessage = (text) => resolve(JSON.parse(text));
      socket.onclose = (code) => reject(new Error(`${url} closed with ${code}`));
      socket.send(JSON.stringify({ t: "ping", id }));
    });
    if (pong.t !== "pong" || pong.id !== id) throw new Error(`not a pong: ${JSON.stringify(pong)}`);
    samples.push(now() - sent);
  }
  socket.onclose = () => {};
  socket.close();
  return samples;
}

async function place(account) {
  const { regions } = await http("GET", "/v1/regions");
  const rtt_ms = {};
  for (const { region, beacons } of regions) {
    for (const beacon of beacons.slice(0, 2)) {
      const samples = await measure(beacon).catch(() => []);
      if (samples.length) {
        rtt_ms[region] = samples;
        break;
      }
    }
  }
  return { ...(await http("POST", "/v1/placements", { ...account, mode, rtt_ms })), rtt_ms };
}

// -------------------------------------------------------------------------------------------------------------- a player

class Player {
  constructor(placement) {
    this.session = new ClientSession(placement.token, "node-client/1");
    this.url = placement.edges[0];
    this.socket = null;
    this.sequence = 0; // through all connections of the session
    this.latest = null; // header and view of the newest snapshot
    this.ended = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.report = { welcomes: 0, resumes: 0, cuts: 0, snapshots: 0, commands: 0, processed: 0, shots: 0, moved: 0, seen: 0, hits: 0 };
    this.report.refused = [];
    this.report.prediction_error_max = 0;
  }

  async open() {
    const socket = await connect(this.url, SUBPROTOCOL);
    this.socket = socket;
    socket.onmessage = (data) => (typeof data === "string" ? this.onText(data) : this.onSnapshot(data));
    socket.onclose = (code, reason) => this.onClose(socket, code, reason);
    this.write(this.session.hello());
  }

  write(data) {
    trace(">", data);
    this.socket.send(data);
  }

  flush() {
    for (const text of this.session.outgoing()) this.write(text);
    if (this.session.broken) this.socket.close(4004, this.session.broken);
  }

  onText(text) {
    trace("<", text);
    for (const message of this.session.receive(text, now())) this.onMessage(message);
    this.flush();
  }

  onMessage(message) {
    if (message.t === "welcome") {
      this.report.welcomes += 1;
      if (message.resumed) this.report.resumes += 1;
      else if (this.report.welcomes > 1) this.reject(new Error("the session was not resumed"));
      else this.session.send({ t: "queue", mode });
    } else if (message.t === "match_found") {
      if (message.url !== this.url) {
        this.url = message.url; // another process hosts it: the session goes there with its resume token
        this.socket.close();
      }
      this.session.send({ t: "join", match: message.match, match_token: message.match_token });
    } else if (message.t === "match_started") {
      this.match = message;
      this.report.seat = message.seat;
      this.report.roster = message.roster.length;
    } else if (message.t === "match_ended") {
      this.report.result = message;
      this.resolve();
    } else if (message.t === "refused") {
      this.report.refused.push(message);
    } else if (message.t === "match_lost" || message.t === "dequeued") {
      this.reject(new Error(JSON.stringify(message)));
    }
  }

  onSnapshot(data) {
    this.session.heard(now());
    const frame = decodeSnapshot(data);
    const view = frame && arena.decodeSnapshot(frame.payload);
    if (!view) return this.reject(new Error("a binary frame that is no snapshot"));
    if (this.latest && difference(frame.tick, this.latest.frame.tick) <= 0) return;
    if (this.report.snapshots++ === 0 || this.report.snapshots === 60) trace("<", data);
    if (this.latest) this.account(view, frame.tick - this.latest.frame.tick);
    this.report.processed = frame.processed;
    this.latest = { frame, view };
  }

  account(view, ticks) {
    const before = this.latest.view;
    this.report.moved += Math.hypot(view.x - before.x, view.y - before.y) < 2 ? Math.hypot(view.x - before.x, view.y - before.y) : 0;
    this.report.seen += view.others.length > 0 ? 1 : 0;
    this.report.hits += view.events.filter((event) => event.kind === arena.HIT && event.by === view.seat).length;
    if (!view.alive || !before.alive || view.events.some((e) => e.kind === arena.RESPAWN)) return;
    // From one snapshot the next must be reachable: at most full speed in any direction (docs, "Prediction").
    const reach = Math.hypot(view.x - before.x, view.y - before.y) - (arena.SPEED_MAX * ticks) / 60;
    this.report.prediction_error_max = Math.max(this.report.prediction_error_max, reach);
  }

  /** 20 times a second: three sub-ticks of movement and aim from what was seen last. */
  command() {
    if (!this.match || !this.latest || !this.session.open || this.report.result) return;
    const { frame, view } = this.latest;
    const enemy = view.others.find((other) => other.alive && other.team !== this.match.team);
    const aim = enemy ? { aim_x: enemy.x - view.x, aim_y: enemy.y - view.y } : { aim_x: map.size / 2 - view.x, aim_y: map.size / 2 - view.y };
    const length = Math.hypot(aim.aim_x, aim.aim_y) || 1;
    const turn = Math.floor(now() / 1500) % 4; // not for ever into the same wall
    const [dx, dy] = [aim.aim_x / length, aim.aim_y / length];
    const [move_x, move_y] = [[dx, dy], [-dy, dx], [dx, dy], [dy, -dx]][turn];
    const subtick = { ...aim, move_x, move_y, fire: Boolean(enemy), dt_ms: 17 };
    this.sequence += 1;
    const data = encodeCommand(this.sequence, now(), frame.tick, arena.encodeCommand([subtick, subtick, subtick]));
    if (this.sequence === 1) trace(">", data);
    this.socket.send(data);
    this.report.commands += 1;
    this.report.shots += enemy ? 1 : 0;
  }

  async onClose(socket, code, reason) {
    if (socket !== this.socket || this.report.result) return;
    const ours = this.session.broken !== "" || code === 1000; // we closed it, and go on with the next one
    this.session.detach();
    if (!ours && retryAfter(code) === "never") return this.reject(new Error(`closed with ${code} ${reason}`));
    for (let attempt = 0; attempt < 8; attempt++) {
      await sleep(attempt ? Math.random() * 100 * 2 ** attempt : 0);
      try {
        return await this.open();
      } catch {
        // the next attempt
      }
    }
    this.reject(new Error("no connection any more"));
  }
}

async function main() {
  const account = await http("POST", "/v1/guests", { name: "noder" });
  const placement = await place(account);
  const player = new Player(placement);
  await player.open();
  const timers = [setInterval(() => player.command(), 50), setInterval(() => (player.session.poll(now()), player.flush()), 250)];
  const cutter = setInterval(() => {
    if (player.report.snapshots < 50 || player.report.cuts) return;
    player.report.cuts += 1;
    player.report.commands_before_cut = player.report.commands;
    trace("-", "the connection is cut");
    player.socket.cut();
  }, 20);
  const late = setTimeout(() => player.reject(new Error("no result within 60 s")), 60000);
  await player.ended;
  for (const timer of [...timers, cutter]) clearInterval(timer);
  clearTimeout(late);
  trace(">", '{"t":"bye"}');
  player.socket.send('{"t":"bye"}');
  await new Promise((resolve) => {
    player.socket.onclose = (code) => resolve((player.report.closed = code));
  });
  const rtt = player.session.rttMs;
  console.log(JSON.stringify({ player: account.player, region: placement.region, beacons: placement.rtt_ms, rtt_ms: rtt, mode, ...player.report }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.stack);
    process.exit(1);
  },
);
