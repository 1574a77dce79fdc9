/** What of the client runs without a browser: prediction, interpolation, sight and names. `node modules.mjs`; exits 1 where something differs. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { step } from "../../clients/js/arena.js";
import { difference } from "../../clients/js/frames.js";
import { Timeline } from "../../clients/js/interpolate.js";
import { Predictor, rounded } from "../../clients/js/predict.js";
import { measureAll } from "../../clients/web/api.js";
import { Connection } from "../../clients/web/connection.js";
import { person } from "../../clients/web/names.js";
import { whyWords } from "../../clients/web/screens.js";
import { free, visible } from "../../clients/web/sight.js";

const map = JSON.parse(readFileSync(new URL("../../clients/vectors/arena_map.json", import.meta.url), "utf8"));
const checks = {};
const near = (found, wanted, tolerance = 1e-9) => assert.ok(Math.abs(found - wanted) <= tolerance, `${found} is not ${wanted}`);
const wish = (x, y) => ({ aim_x: 1, aim_y: 0, move_x: x, move_y: y, fire: false, dt_ms: 17 });
const view = (body, others = [], alive = true) => ({ ...body, alive, others });
const start = { x: 20, y: 16, vx: 0, vy: 0 };

checks["a prediction that the server confirms has no error"] = () => {
  const predictor = new Predictor(map);
  predictor.confirm(view(start), 0, difference);
  const truth = [start];
  for (let i = 0; i < 30; i++) truth.push(step(truth[i], rounded(0.7), rounded(-0.3), map));
  for (let i = 0; i < 30; i++) {
    predictor.tick(wish(0.7, -0.3), true);
    if (i % 3 === 2 && i > 8) predictor.confirm(view(truth[i - 5]), (i - 5) / 3, difference); // two commands ago
  }
  near(predictor.body.x, truth[30].x);
  near(predictor.body.y, truth[30].y);
  near(predictor.correction, 0);
  assert.equal(predictor.sequence, 10);
};
checks["a small error fades, a large one is shown at once"] = () => {
  const predictor = new Predictor(map);
  predictor.confirm(view(start), 0, difference);
  predictor.confirm(view({ ...start, x: 20.5 }), 0, difference);
  near(predictor.shown(1, 0).x, 20);
  near(predictor.shown(1, 1000).x, 20.5, 1e-6);
  predictor.confirm(view({ ...start, x: 30 }), 0, difference);
  near(predictor.shown(1, 0).x, 30);
};
checks["a command is three sub-ticks, numbers go on through matches"] = () => {
  const predictor = new Predictor(map);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => predictor.tick(wish(1, 0), true)?.sequence ?? null), [null, null, 1, null, null, 2]);
  predictor.reset();
  assert.equal(predictor.sequence, 2);
  for (let i = 0; i < 400; i++) predictor.tick(wish(1, 0), true);
  assert.ok(predictor.sent.length <= 40, "what the server never confirms does not pile up");
};
checks["the dead do not walk"] = () => {
  const predictor = new Predictor(map);
  predictor.confirm(view(start, [], false), 0, difference);
  for (let i = 0; i < 9; i++) predictor.tick(wish(1, 1), false);
  assert.deepEqual(predictor.body, start);
};

const other = (x, more = {}) => ({ seat: 1, team: 1, alive: true, npc: true, fired: false, x, y: 10, vx: 6, vy: 0, aim: 0, health: 100, ...more });
checks["others are shown between two snapshots, in the past"] = () => {
  const timeline = new Timeline(60);
  for (let i = 0; i < 20; i++) assert.ok(timeline.push(1000 + 3 * i, view(start, [other(10 + 0.3 * i)]), 5000 + 50 * i));
  const { others, tick } = timeline.at(5950); // 100 ms before it is snapshot 17
  near(others[0].x, 10 + 0.3 * 17, 0.05);
  near(tick, 1000 + 3 * 17, 1);
  assert.equal(timeline.push(1030, view(start), 6000), false, "an old one");
  assert.equal(timeline.missing, 0);
};
checks["a lost snapshot is bridged and counted, silence is not guessed at for long"] = () => {
  const timeline = new Timeline(60);
  for (let i = 0; i < 20; i++) if (i !== 10) timeline.push(3 * i, view(start, [other(10 + 0.3 * i)]), 50 * i);
  assert.equal(timeline.missing, 1);
  near(timeline.at(600).others[0].x, 10 + 0.3 * 10, 0.1);
  const far = timeline.at(99_999).others[0].x;
  assert.ok(far <= 10 + 0.3 * 19 + 6 * 0.15 + 0.01, "150 ms at most");
  assert.ok(timeline.at(99_999).tick <= 57, "nobody has seen what has not come");
};
checks["ticks wrap at 2 ** 32"] = () => {
  const timeline = new Timeline(60);
  const ticks = [2 ** 32 - 6, 2 ** 32 - 3, 0, 3, 6].map((tick) => tick >>> 0);
  assert.deepEqual(ticks.map((tick, i) => timeline.push(tick, view(start, [other(i)]), 50 * i)), [true, true, true, true, true]);
};
checks["who is out of sight fades, who comes back anew does not slide there"] = () => {
  const timeline = new Timeline(60);
  timeline.push(0, view(start, [other(10)]), 0);
  timeline.push(3, view(start, [other(10.3)]), 50);
  timeline.push(6, view(start, []), 100);
  timeline.push(9, view(start, []), 150);
  timeline.at(140);
  const [faded] = timeline.at(260).others;
  assert.ok(faded.alpha >= 0 && faded.alpha <= 1);
  assert.equal(timeline.at(600).others.length, 0);
  const jumping = new Timeline(60);
  jumping.push(0, view(start, [other(10)]), 0);
  jumping.push(3, view(start, [other(50)]), 50);
  assert.ok([10, 50].includes(jumping.at(125).others[0].x));
};

checks["sight ends at walls"] = () => {
  near(free(map, 20, 16, -1, 0, 40), 4); // the wall from 14 to 16
  near(free(map, 32, 4, 0, -1, 40), 4); // the edge of the world
  assert.ok(visible(map, 20, 16, 48).every(([x, y]) => x > -0.1 && y > -0.1 && x < 64.1 && y < 64.1));
};
checks["names of NPCs say how they play; other names are left alone"] = () => {
  assert.deepEqual(person({ seat: 3, name: "npc-3 flanker L7", npc: true }), { name: "Flanker 3", note: "NPC · level 7", level: "7", npc: true });
  assert.equal(person({ seat: 3, name: "npc-3", npc: true }).name, "NPC 3");
  assert.equal(person({ seat: 3, name: "npc-3 flanker L7", npc: false }).name, "npc-3 flanker L7", "a player may be called anything");
  assert.equal(person({ seat: 3, name: "", npc: false }).name, "seat 3");
};

checks["an explanation is the server's sentence and at most three rules, and nothing where it is none"] = () => {
  assert.deepEqual(whyWords(null), []);
  assert.deepEqual(whyWords({ t: "explained", text: 7 }), []);
  const rule = (name, more) => ({ rule: name, excludes: 3, alone: 1, ...more });
  const rules = [rule("skill", { next_ms: 4200 }), rule("latency"), rule("equal platform"), rule("fourth")];
  const words = whyWords({ t: "explained", text: "Too few.", others: 5, fits: 2, needed: 7, rules });
  assert.equal(words.length, 5);
  assert.equal(words[0], "Too few.");
  assert.match(words[1], /5 others wait; 2 of them fit now, 7 more/);
  assert.match(words[2], /skill.* 3 of them .*in 4 s/);
  assert.doesNotMatch(words[3], / in /);
  assert.deepEqual(whyWords({ text: "Alone.", others: 0, rules: "none" }), ["Alone."]);
};

checks["a match in another region is reached, or the session at home goes on"] = () => {
  const sockets = [];
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {}
    says(message) {
      this.onmessage({ data: JSON.stringify(message) });
    }
  };
  const heard = [];
  const placement = { edges: ["ws://home"], token: "home", region: "home", expires_ms: Date.now() + 1e6 };
  const connection = new Connection(placement, () => placement, { message: (m) => heard.push(m.t), snapshot() {}, state() {}, over() {} });
  const last = () => sockets.at(-1);
  const welcome = (resumed) => ({ t: "welcome", session: "s", resume_token: `r ${last().url}`, resumed, received: 0, heartbeat_ms: 5000 });
  const open = (resumed) => (last().onopen(), last().says(welcome(resumed)));
  open(false);
  const away = { ticket: "t", match: "m", mode: "duel", region: "far", urls: ["ws://far/1", "ws://far/2"], token: "far", match_token: "k", join_ms: 1e4 };
  last().says({ t: "match_away", s: 1, ...away });
  connection.travel(away);
  assert.equal(last().url, "ws://far/1");
  last().onclose({ code: 1006, reason: "" });
  assert.equal(last().url, "ws://far/2");
  last().onclose({ code: 1006, reason: "" });
  last().onclose({ code: 1006, reason: "" });
  assert.equal(last().url, "ws://home");
  open(true);
  assert.deepEqual(last().sent[0], { t: "hello", token: "home", resume: "r ws://home", last_s: 1, client: "gameedge-web/1" });
  assert.deepEqual([connection.abroad, connection.region], [false, "home"]);
  connection.travel(away);
  open(false);
  assert.deepEqual(last().sent[0], { t: "hello", token: "far", client: "gameedge-web/1" });
  assert.deepEqual(heard, ["welcome", "match_away", "welcome", "match_found"]);
  assert.deepEqual([connection.abroad, connection.region, connection.url], [true, "far", "ws://far/1"]);
  connection.close();
};

/** Sockets that do nothing by themselves; `sockets` has all that were made. */
function fakeSockets() {
  const sockets = [];
  globalThis.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    closed = false;
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send() {}
    close() {
      this.closed = true;
      queueMicrotask(() => this.onclose?.({ code: 1006, reason: "" }));
    }
  };
  return sockets;
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const place = { edges: ["ws://a", "ws://b"], token: "t", region: "r", expires_ms: Date.now() + 1e6 };
const hears = { message() {}, snapshot() {}, state() {}, over() {} };

checks["a server that takes the connection and never welcomes is given up"] = async () => {
  const sockets = fakeSockets();
  const connection = new Connection(place, () => place, hears, { openMs: 40, welcomeMs: 40 });
  sockets[0].onopen();
  const ends = performance.now() + 10_000;
  while (performance.now() < ends && (sockets.length < 2 || !connection.socket)) await pause(5);
  assert.ok(sockets[0].closed && sockets.length >= 2, `${sockets.length} sockets`);
  const { socket } = connection;
  socket.onopen();
  socket.onmessage({ data: JSON.stringify({ t: "welcome", session: "s", resume_token: "r", resumed: false, received: 0 }) });
  const count = sockets.length;
  await pause(120);
  assert.ok(sockets.length === count && connection.socket === socket, "who was welcomed stays");
  connection.close();
};
checks["a server that welcomes and drops at once is not stormed"] = async () => {
  const sockets = fakeSockets();
  const connection = new Connection(place, () => place, hears);
  const ends = performance.now() + 400;
  let served = 0;
  while (performance.now() < ends) {
    while (served < Math.min(sockets.length, 50)) {
      const socket = sockets[served++];
      socket.onopen();
      socket.onmessage({ data: JSON.stringify({ t: "welcome", session: "s", resume_token: "r", resumed: served > 1, received: 0 }) });
      socket.onclose({ code: 4021, reason: "internal" });
    }
    await pause(1);
  }
  assert.ok(sockets.length >= 2 && sockets.length < 15, `${sockets.length} connections in 0.4 s`);
  connection.close();
};

checks["regions are measured at once, and nobody waits for the far ones"] = async () => {
  const away = { near: 5, mid: 10, far: 2000, dead: Infinity }; // ms of each way
  globalThis.WebSocket = class {
    constructor(url) {
      this.ms = away[url];
      if (this.ms < Infinity) setTimeout(() => this.onopen?.(), this.ms);
    }
    send() {
      setTimeout(() => this.onmessage?.({ data: "" }), 2 * this.ms);
    }
    close() {
      this.onopen = this.onmessage = null;
    }
  };
  const list = Object.keys(away).map((region) => ({ region, beacons: [region] }));
  const told = {};
  const began = performance.now();
  const found = await measureAll(list, (region, samples, far) => (told[region] = samples.length || (far ? "far" : "no answer")));
  assert.ok(performance.now() - began < 2500, "a beacon that does not answer takes 3 s alone");
  assert.deepEqual(Object.keys(found).sort(), ["mid", "near"]);
  assert.ok(found.near.length === 3 && Math.min(...found.near) >= 9);
  assert.deepEqual(told, { near: 3, mid: 3, far: "far", dead: "far" });
  const one = await measureAll([list[0], { region: "none", beacons: [] }], (region, samples, far) => (told[region] = far));
  assert.deepEqual([Object.keys(one), told.none], [["near"], false]);
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
  } catch (error) {
    failed++;
    console.error(`${name}: ${error.message}`);
  }
}
console.log(JSON.stringify({ checked: Object.keys(checks).length, failed }));
process.exit(failed ? 1 : 0);
