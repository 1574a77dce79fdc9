/** The playable client's composition root: which screen is on, and who may talk to whom. */

import { ApiError, matches, measureAll, place, regions, signUp } from "./api.js";
import { Connection } from "./connection.js";
import { Hud } from "./hud.js";
import { Input } from "./input.js";
import { Network } from "./network.js";
import { Match } from "./play.js";
import { Predictor } from "../js/predict.js";
import { Renderer } from "./draw.js";
import { median, modeTitle, showMatches, showModes, showPlacement, showQueue, showRegions, showResult, showWhy } from "./screens.js";
import { Sound } from "./sound.js";
import { Spectator } from "./spectate.js";
import { load, save } from "./store.js";

const SCREENS = ["start", "queue", "arena", "result", "watch"];
const NAME_MAX = 32;
const LIST_MS = 2000; // between looks at what is being played
const REGIONS_MS = 3000; // between looks while no region is there
const GO_ON_S = 6; // until the next match, where that was asked for
const NOTE_MS = 500;
const EXPLAIN_MS = 2500; // between questions why one waits: a server answers every two seconds at most
const EXPLAIN_AFTER_MS = 900; // of waiting: who is matched at once asks nothing
const by = (id) => document.getElementById(id);
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

const say = (text) => (by("say").textContent = text);
const sound = new Sound(load("sound", false));
const hud = new Hud(say);
const network = new Network(by("graph"), by("network-facts"));
const input = new Input(by("view"));
const map = await (await fetch("/vectors/arena_map.json")).json();
const renderer = new Renderer(by("view"), map);
const predictor = new Predictor(map);
renderer.still = reduced;

const state = {
  screen: "start",
  account: load("account", null), // {player, secret, name}
  mode: load("mode", "ffa"),
  modes: undefined, // of the last welcome
  regions: [],
  samples: {},
  failed: new Map(), // region -> why it was not measured
  measured: null,
  placement: null,
  connection: null,
  spectator: null,
  match: null,
  status: null, // the last queue_status
  explained: null, // the last answer to `explain`
  askMs: 0, // when it may be asked again
  found: null, // the match that is being joined
  better: null, // a placement in another region, for the next match
  ended: null,
  draining: false,
  goOn: null,
};

// ----------------------------------------------------------------------------------------------------------- screens

function show(screen, { focus = true } = {}) {
  state.screen = screen;
  document.body.dataset.screen = screen;
  for (const id of SCREENS) by(id).hidden = id !== screen;
  by("go-play").toggleAttribute("aria-current", screen !== "watch");
  by("go-watch").toggleAttribute("aria-current", screen === "watch");
  for (const [id, on] of [["go-play", screen !== "watch"], ["go-watch", screen === "watch"]]) {
    if (on) by(id).setAttribute("aria-current", "page");
    else by(id).removeAttribute("aria-current");
  }
  input.active = screen === "arena" && !state.match?.watching;
  if (!input.active) input.release();
  clearInterval(state.goOn);
  if (!focus) return;
  if (screen === "arena") by("view").focus({ preventScroll: true });
  else by(`${screen}-title`)?.focus({ preventScroll: true });
}

function banner(text) {
  by("banner").textContent = text;
  by("banner").hidden = !text;
}

function fail(text) {
  leaveEverything();
  show("start");
  by("start-error").textContent = text;
  by("play").disabled = false;
}

function leaveEverything() {
  state.connection?.close();
  state.spectator?.close();
  Object.assign(state, { connection: null, spectator: null, match: null, status: null, explained: null, found: null, better: null, draining: false });
  banner("");
}

// ------------------------------------------------------------------------------------------------- regions and placement

async function measure() {
  by("measure").disabled = true;
  try {
    state.regions = await regions();
    for (let looks = 0; !state.regions.length && looks < 20; looks++) {
      showRegions([], {}, state.failed);
      await new Promise((resolve) => setTimeout(resolve, REGIONS_MS));
      state.regions = await regions();
    }
    state.samples = {};
    state.failed.clear();
    showRegions(state.regions, state.samples, state.failed);
    state.samples = await measureAll(state.regions, (region, samples, far) => {
      if (samples.length) state.samples[region] = [...samples];
      else state.failed.set(region, far ? "far" : "no answer");
      showRegions(state.regions, state.samples, state.failed);
    });
  } catch (error) {
    by("regions-note").textContent = error.message;
  } finally {
    by("measure").disabled = false;
  }
}

async function account(name) {
  if (state.account?.name !== name || !state.account.secret) {
    state.account = { ...(await signUp(name, (error) => banner(`Waiting: ${error.message}`))), name };
    save("account", state.account);
  }
  return state.account;
}

/** A placement; an account that the coordinator does not know (any more) is made anew. */
async function placed(current = null) {
  const ask = async () => {
    const { player, secret } = await account(state.account?.name ?? by("name").value.trim());
    const request = { player, secret, mode: state.mode, rtt_ms: state.samples };
    return place(current ? { ...request, current } : request, (error) => banner(`Waiting: ${error.message}`));
  };
  try {
    state.placement = await ask();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    state.account = { name: state.account.name };
    state.placement = await ask();
  }
  banner("");
  showPlacement(state.placement, state.regions);
  return state.placement;
}

// --------------------------------------------------------------------------------------------------------------- queueing

async function play() {
  const name = by("name").value.normalize("NFC").trim();
  by("start-error").textContent = "";
  if ([...name].length < 1 || [...name].length > NAME_MAX) {
    by("start-error").textContent = name ? `That name has ${[...name].length} characters; ${NAME_MAX} are possible.` : "Type a name first.";
    by("name").focus();
    return;
  }
  state.mode = new FormData(by("sign-in")).get("mode") ?? state.mode;
  save("mode", state.mode);
  save("name", name);
  by("play").disabled = true;
  try {
    await state.measured;
    if (state.account?.name !== name) leaveEverything();
    await account(name);
    if (state.connection && !state.connection.closed) queue();
    else connect(await placed());
  } catch (error) {
    fail(error.message);
  } finally {
    by("play").disabled = false;
  }
}

function connect(placement) {
  state.connection = new Connection(placement, placed, {
    message: (message) => hear(message),
    snapshot: (data, now) => state.match && !state.match.watching && state.match.snapshot(data, now),
    state: connectionState,
    over: (reason, detail) => fail(reason === "replaced" ? "You went on playing in another window." : detail || `The connection ended: ${reason}.`),
  });
  waiting();
}

function waiting() {
  state.status = state.explained = null;
  show("queue");
  by("queue-title").textContent = "Looking for a match";
  by("queue-line").textContent = state.placement ? `You play in ${regionTitle(state.placement.region)}.` : "";
  showQueue(null, modeTitle(state.mode, state.modes));
  showWhy(null, null);
}

const regionTitle = (region) => state.regions.find((r) => r.region === region)?.title || region;

function queue() {
  if (state.better) {
    const placement = state.better;
    leaveEverything();
    connect(placement); // its welcome queues
    return;
  }
  if (state.connection.abroad) {
    goHome();
    return;
  }
  state.connection.send({ t: "queue", mode: state.mode, away: true });
  waiting();
}

function connectionState(what) {
  if (what === "lost") {
    banner("The connection is lost; going back to your place …");
    if (state.match && !state.match.watching) hud.hold("Reconnecting …");
  } else if (what === "open") {
    banner("");
    hud.hold("");
  }
}

function hear(message) {
  switch (message.t) {
    case "welcome":
      state.modes = message.modes;
      if (message.resumed) {
        state.match?.resumed();
        say("Connected again");
      } else if (state.found && performance.now() < state.found.untilMs) {
        join(state.found); // this process does not know the session, but the seat is there: the match token is enough
      } else {
        state.match = null;
        if (state.screen === "queue" || state.screen === "arena") queue(); // nobody else is made to play by a server that forgot the session
      }
      break;
    case "queue_status":
      state.status = message;
      askWhy(message);
      showQueue(message, modeTitle(state.mode, state.modes));
      showWhy(message, state.explained);
      break;
    case "explained":
      state.explained = message;
      if (state.screen === "queue") showWhy(state.status, message);
      break;
    case "match_offered": // whoever queues here wants to play
      state.connection.send({ t: state.screen === "start" ? "decline" : "accept", match: message.match });
      by("queue-line").textContent = "A match is there; waiting for everybody to accept …";
      break;
    case "match_withdrawn":
      by("queue-line").textContent = "That match is off; looking for another match …";
      break;
    case "match_away":
      by("queue-line").textContent = `A match is found in ${message.region}; going there …`;
      if (state.screen !== "start") state.connection.travel(message);
      break;
    case "match_found":
      if (state.screen === "start") {
        state.connection.send({ t: "leave" }); // it came before the cancel arrived
        break;
      }
      by("queue-line").textContent = "A match is found; taking your seat …";
      state.found = { ...message, untilMs: performance.now() + message.join_ms };
      state.connection.follow(message.url);
      join(message);
      break;
    case "match_started":
      state.found = null;
      begin(message);
      break;
    case "match_ended":
      over(message);
      break;
    case "match_lost":
      say("The match was lost with its server; looking for another");
      state.match = null;
      queue();
      break;
    case "dequeued":
      if (message.reason) fail(message.detail || `The queue let you go: ${message.reason}.`);
      else if (state.screen === "queue") queue(); // cancelled, and asked for again before that was over
      break;
    case "refused":
      refused(message);
      break;
    case "reroute":
      reroute();
      break;
    case "draining":
      state.draining = true;
      if (!state.match) moveOn();
      break;
    default: // of a newer server
  }
}

/** Ask the server why there is no match yet, now and then. Its answer is `explained`; a refusal means that nobody can say just now. */
function askWhy({ waited_ms: waited }) {
  const now = performance.now();
  if (waited < EXPLAIN_AFTER_MS || now < state.askMs || state.screen !== "queue") return;
  state.askMs = now + EXPLAIN_MS;
  state.connection?.send({ t: "explain" });
}

function join({ match, match_token }) {
  state.connection.send({ t: "join", match, match_token });
}

function refused({ re, reason, detail, retry_after_ms: wait }) {
  if (re === "queue" && (reason === "too_often" || reason === "unavailable")) {
    setTimeout(() => state.screen === "queue" && state.connection?.send({ t: "queue", mode: state.mode, away: true }), wait ?? 1000);
  } else if (re === "queue" && reason === "in_match") {
    state.connection.send({ t: "leave" });
    queue();
  } else if (re === "queue" && reason !== "already_queued") {
    fail(detail || `That is not possible now: ${reason}.`);
  } else if (re === "join") {
    state.found = null;
    queue();
  }
}

/** The way here has become long: look again, and play the next match elsewhere where that is better. Staying is allowed. */
async function reroute() {
  const { connection } = state;
  if (state.match || state.better || !connection) return; // round trips are not measured beside a match
  try {
    await (state.measured = measure());
    const placement = await placed(connection.region);
    if (placement.region !== connection.region && connection === state.connection && !state.match && !state.found) state.better = placement;
  } catch {
    banner("");
  }
}

/** A match took us to another region: from there to wherever a placement says. */
async function goHome() {
  const { connection } = state;
  connection.abroad = false; // where no placement is to be had the next match is played from here
  waiting();
  try {
    const placement = await placed(state.placement?.region ?? null);
    if (connection !== state.connection) return;
    leaveEverything();
    connect(placement); // its welcome queues
  } catch {
    banner("");
    if (connection === state.connection) queue();
  }
}

/** This process goes away, and nobody plays on it: another one, with the same session. */
function moveOn() {
  state.draining = false;
  state.connection?.move();
}

// ---------------------------------------------------------------------------------------------------------------- playing

function begin(started) {
  state.match = new Match({
    started,
    map,
    renderer,
    input,
    predictor,
    send: (data) => state.connection?.sendBinary(data),
    hud,
    sound,
    reduced,
  });
  hud.held = "";
  hud.begin(state.match);
  network.reset();
  show("arena");
  sound.play("start");
  const own = started.roster.find((seat) => seat.seat === started.seat);
  say(`The match begins: ${modeTitle(started.mode, state.modes)}, you are team ${own ? own.team + 1 : ""}`);
}

function over(ended) {
  const match = state.match;
  state.ended = ended;
  state.match = null;
  if (!match) return;
  showResult(ended, match);
  show("result");
  say(`${by("result-title").textContent}. ${by("result-line").textContent}`);
  if (state.draining) moveOn();
  countDown();
}

function countDown() {
  clearInterval(state.goOn);
  let left = GO_ON_S;
  const tell = () => (by("countdown").textContent = by("keep-on").checked ? `in ${left} s` : "");
  tell();
  state.goOn = setInterval(() => {
    if (!by("keep-on").checked || document.hidden) left = GO_ON_S;
    else left -= 1;
    tell();
    if (left > 0) return;
    clearInterval(state.goOn);
    queue();
  }, 1000);
}

function leave() {
  if (state.match?.watching) {
    state.spectator?.close();
    state.spectator = state.match = null;
    watchList();
    return;
  }
  if (state.match) state.connection?.send({ t: "leave" });
  state.match = null;
  show("start");
}

// --------------------------------------------------------------------------------------------------------------- watching

async function listMatches() {
  try {
    const list = await matches();
    if (state.screen === "start") showMatches("live", list.slice(0, 4), watch, state.modes);
    if (state.screen === "watch") showMatches("matches", list, watch, state.modes);
  } catch {
    // The list is asked for again in a moment.
  }
}

function watchList() {
  if (state.connection) {
    state.connection.close();
    state.connection = null;
  }
  by("watch-note").textContent = "";
  show("watch");
  listMatches();
}

/** `/watch?match=ID`, as the dashboard links to. */
async function watchNamed(match) {
  watchList();
  const entry = (await matches().catch(() => [])).find((listed) => listed.match === match);
  if (entry) await watch(entry);
  else by("watch-note").textContent = "That match is over, or too many others run for it to be listed.";
}

async function watch(entry) {
  try {
    if (!state.placement || Date.now() > state.placement.expires_ms - 10000) {
      await account(state.account?.name || by("name").value.trim() || "spectator");
      await placed();
    }
  } catch (error) {
    by("watch-note").textContent = error.message;
    return;
  }
  leaveEverything();
  const note = (text) => (by("watch-note").textContent = text);
  state.spectator = new Spectator(entry.url, state.placement.token, entry.match, {
    watching(message) {
      state.match = new Match({ started: { ...message, seat: null }, map, renderer, input: null, predictor, send() {}, hud, sound, reduced });
      hud.held = "";
      hud.begin(state.match);
      hud.hold(`You see this match ${Math.round(message.delay_ms / 1000)} s late`);
      setTimeout(() => hud.hold(""), Math.max(2500, message.delay_ms));
      show("arena");
      say(`Watching ${modeTitle(message.mode, state.modes)}`);
    },
    snapshot: (data, now) => state.match?.watching && state.match.snapshot(data, now),
    over(reason) {
      state.match = state.spectator = null;
      show("watch");
      note(reason ? `It cannot be watched: ${reason}` : "That match is over.");
      listMatches();
    },
  });
  if (state.screen !== "watch") show("watch");
  note("Connecting …");
}

// ---------------------------------------------------------------------------------------------------------------- always

let lastMs = performance.now();
function frame(nowMs) {
  const gapMs = Math.max(0, nowMs - lastMs);
  lastMs = nowMs;
  if (state.match && state.screen === "arena") state.match.frame(performance.now(), gapMs);
  requestAnimationFrame(frame);
}

let seen = { missing: 0, expected: 0 };
setInterval(() => {
  const { match, connection } = state;
  if (!match || by("network").hidden) return;
  const { timeline } = match;
  const lost = Math.max(0, timeline.missing - seen.missing);
  const expected = Math.max(0, timeline.expected - seen.expected);
  seen = { missing: timeline.missing, expected: timeline.expected };
  connection?.ping();
  const rtt = connection?.session.open ? connection.session.rttMs : null;
  if (!match.watching) network.note(rtt, lost, expected);
  const frames = match.frames.ms.slice(-60);
  const common = {
    jitter: `${timeline.jitterMs.toFixed(1)} ms`,
    "shown late": `${Math.round(timeline.delayMs + (match.watching ? match.started.delay_ms : 0))} ms`,
    frame: frames.length ? `${median(frames).toFixed(1)} ms` : "–",
  };
  const own = {
    "round trip": rtt === null || rtt === undefined ? "–" : `${rtt.toFixed(rtt < 10 ? 1 : 0)} ms`,
    loss: `${(network.lossShare * 100).toFixed(1)} %`,
    correction: `${predictor.correction.toFixed(2)} u`,
  };
  network.draw(match.watching ? common : { ...own, ...common });
}, NOTE_MS);

function toggleNetwork() {
  by("network").hidden = !by("network").hidden;
  by("show-network").setAttribute("aria-pressed", String(!by("network").hidden));
  save("network", !by("network").hidden);
}

function toggleSound() {
  sound.set(!sound.on);
  save("sound", sound.on);
  showSound();
}

function showSound() {
  by("sound").textContent = sound.on ? "Sound on" : "Sound off";
  by("sound").setAttribute("aria-pressed", String(sound.on));
}

const clicks = {
  "go-play": () => (state.match?.watching ? leave() : null, show(state.connection && state.status ? "queue" : "start")),
  "go-watch": watchList,
  "all-matches": watchList,
  sound: toggleSound,
  measure: () => (state.measured = measure()),
  cancel: () => (state.connection?.send({ t: "cancel" }), show("start")),
  again: () => (state.connection && !state.connection.closed ? queue() : play()),
  home: () => show("start"),
  leave,
  "show-scores": () => hud.toggleScores(),
  "show-network": toggleNetwork,
};
for (const [id, act] of Object.entries(clicks)) by(id).addEventListener("click", act);
by("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  play();
});
by("keep-on").addEventListener("change", () => save("keep-on", by("keep-on").checked));
window.addEventListener("keydown", (event) => {
  if (state.screen !== "arena" || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = { KeyQ: () => hud.toggleScores(), KeyN: toggleNetwork, KeyM: toggleSound, Escape: leave }[event.code];
  if (!act) return;
  event.preventDefault();
  act();
});
window.addEventListener("pagehide", () => leaveEverything());
window.addEventListener("pageshow", (event) => event.persisted && show("start")); // back from the browser's cache: the session is over

by("name").value = load("name", state.account?.name ?? "");
by("keep-on").checked = load("keep-on", true);
by("network").hidden = !load("network", false);
by("show-network").setAttribute("aria-pressed", String(!by("network").hidden));
showModes(state.mode);
showSound();
state.measured = measure();
setInterval(() => ["start", "watch"].includes(state.screen) && !document.hidden && listMatches(), LIST_MS);
listMatches();
const asked = new URLSearchParams(location.search).get("match");
if (location.pathname === "/watch" && asked) watchNamed(asked.slice(0, 64));
else if (location.pathname === "/watch") watchList();
else show("start", { focus: false });
requestAnimationFrame(frame);
// For benchmarks and tests: what a page cannot be asked otherwise.
globalThis.gameedge = { state, predictor, network, parts: { map, renderer, input, hud, sound } };
