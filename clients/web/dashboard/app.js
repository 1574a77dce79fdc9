// The dashboard: signs in, listens, shows the view that the address names.

import { call, path, token } from "./api.js";
import { Histograms, shares, sparkline } from "./charts.js";
import { $, h, keyed, s, setAttribute, setText } from "./dom.js";
import { EvidenceView } from "./evidence.js";
import { count, ms, span } from "./format.js";
import { Live } from "./live.js";
import { WorldMap } from "./map.js";
import { RegionTable } from "./table.js";
import { AccessView, FlagsView, MatchView, PlayerView, RegionView, showVerdicts } from "./views.js";

const HISTORY = 180; // states, for the sparklines
const VERDICTS_MAX = 1000;
const ROLES = ["viewer", "operator", "owner"];

// Everything that is known; views read it.
const world = {
  hello: null,
  state: null,
  rows: [],
  detail: null,
  bounds: {},
  verdicts: new Map(),
  history: [],
  at: 0,
  may: (role) => ROLES.indexOf(world.hello?.role) >= ROLES.indexOf(role),
};

const TILES = [
  ["players", "Players", (state) => state.players, count],
  ["matches", "Matches", (state) => state.matches, count],
  ["queued", "In queue", (state) => state.queued, count],
  ["npcs", "NPCs", (state) => state.npcs, count],
  ["late", "Tick late p99", () => Math.max(0, ...world.rows.map((row) => row.late_ms_p99)), ms],
  ["wait", "Queue wait p99", () => Math.max(0, ...world.rows.map((row) => row.wait_ms_p99)), ms],
  ["flags", "Flags", (state) => state.flags, count],
  ["results", "Results applied", (state) => state.results, count],
];

const map = new WorldMap((region) => (location.hash = `#/region/${encodeURIComponent(region)}`));
const histograms = new Histograms();
const table = new RegionTable($("regions"));
let view = null;
let shownPath = null;
let retry = 0;

const live = new Live(`${location.origin.replace("http", "ws")}/v1/admin/live`, {
  hello(message) {
    world.hello = message;
    world.bounds = message.bounds;
    setText($("who"), message.name === "operator_token" ? message.role : `${message.name} · ${message.role}`);
    $("leave").hidden = false;
    $("gate").hidden = true;
    document.body.classList.remove("stale");
    route(shownPath === null || view === null);
  },
  state(message) {
    world.state = message.state;
    world.detail = message.detail;
    world.at = message.state.at_ms;
    const columns = world.hello.columns;
    world.rows = message.state.regions.map((cells) => Object.fromEntries(cells.map((cell, k) => [columns[k], cell])));
    for (const entry of message.verdicts) world.verdicts.set(`${entry.region}/${entry.verdict.flag}`, entry);
    while (world.verdicts.size > VERDICTS_MAX) world.verdicts.delete(world.verdicts.keys().next().value);
    world.history.push(Object.fromEntries(TILES.map(([key, , value]) => [key, value(world.state)])));
    if (world.history.length > HISTORY) world.history.shift();
    requestAnimationFrame(show);
  },
  status({ state, inMs, why }) {
    clearInterval(retry);
    const chip = $("link");
    setAttribute(chip, "class", `chip link ${state}`);
    if (state === "on") setText(chip, "live");
    else if (state === "connecting") setText(chip, "connecting…");
    else {
      document.body.classList.add("stale");
      const until = Date.now() + inMs;
      const say = () => setText(chip, `${why || "no connection"}; again in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`);
      say();
      retry = setInterval(say, 1000);
    }
  },
  refused(reason, detail) {
    signedOut(reason === "token_expired" ? "Your token has ended. Sign in again; you stay where you are." : detail || "This token is not taken.");
  },
});

function signedOut(why) {
  token.set("");
  clearInterval(retry);
  setAttribute($("link"), "class", "chip link");
  setText($("link"), "signed out");
  setText($("who"), "");
  setText($("gate-why"), why);
  $("leave").hidden = true;
  $("gate").hidden = false;
  $("overview").hidden = true;
  $("view").hidden = true;
  $("token").value = "";
  $("token").focus();
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = $("token").value.trim();
  if (!given) return;
  token.set(given);
  setText($("gate-why"), "");
  live.start(given);
});

$("leave").addEventListener("click", () => {
  live.stop();
  world.hello = null;
  closeView();
  signedOut("");
});

// Addresses: #/, #/flags, #/access, #/region/R, #/player/P, #/match/R/M, #/flag/R/F
function route(again = false) {
  if (!world.hello || !$("gate").hidden) return;
  const now = location.hash.replace(/^#\/?/, "");
  if (now === "main") return; // the skip link
  $("overview").hidden = now !== "";
  $("view").hidden = now === "";
  if (now === shownPath && !again) return;
  const moved = shownPath !== null && now !== shownPath;
  shownPath = now;
  closeView();
  const [kind, ...names] = now.split("/").map(decode);
  view = makeView(kind, names);
  live.lookAt(kind === "region" ? names[0] : null);
  for (const tab of $("tabs").children) {
    if (tab.dataset.tab === kind) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (view) $("view").replaceChildren(h("a", { class: "back small", href: "#/", text: "← Overview" }), view.element);
  document.title = `${kind ? `${kind} ${names.at(-1) ?? ""}` : "overview"} · gameedge dashboard`;
  if (moved) {
    window.scrollTo(0, 0);
    $("main").focus({ preventScroll: true });
  }
  show();
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function makeView(kind, names) {
  if (kind === "region" && names[0]) return new RegionView(world, names[0]);
  if (kind === "player" && names[0]) return new PlayerView(world, names[0]);
  if (kind === "match" && names[1]) return new MatchView(world, names[0], names[1]);
  if (kind === "flag" && names[1]) return new EvidenceView(names[0], names[1], world.may("operator"));
  if (kind === "flags") return new FlagsView(world);
  if (kind === "access") return new AccessView(world);
  if (kind) return { element: h("p", { class: "panel", text: "There is no such page here." }) };
  return null;
}

function closeView() {
  view?.end?.();
  view = null;
  $("view").replaceChildren();
}

function show() {
  if (!world.state || !world.hello || document.hidden) return;
  if (view) {
    view.update?.();
    return;
  }
  if ($("overview").hidden) return;
  const { state, rows } = world;
  showTiles(state);
  map.show(rows, state.flows);
  histograms.show(state.histograms, world.bounds);
  table.show(rows);
  showAlarms(state);
  showVerdicts($("verdicts"), [...world.verdicts.values()].reverse().slice(0, 20));
  if (!world.verdicts.size && !$("verdicts").childElementCount) $("verdicts").dataset.empty = "Nothing was flagged yet.";
  shares($("styles"), state.npc_styles);
  shares($("levels"), Object.fromEntries(Object.entries(state.npc_levels).map(([level, n]) => [`level ${level}`, n])));
  shares($("models"), state.models);
}

function showTiles(state) {
  keyed(
    $("tiles"),
    TILES,
    ([key]) => key,
    ([, title]) => h("div", { class: "tile" }, h("span", { class: "small soft", text: title }), h("strong"), s("svg", { viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" })),
    (element, [key, , value, text]) => {
      setText(element.children[1], text(value(state)));
      sparkline(element.children[2], world.history.map((past) => past[key]));
    },
  );
}

function showAlarms(state) {
  const { alarms } = state;
  const serious = alarms.filter((alarm) => alarm.severity !== "note").length;
  setText($("alarm-count"), serious ? `${serious} on` : "all well");
  setAttribute($("alarm-count"), "class", `chip ${serious ? "bad" : "good"}`);
  keyed(
    $("alarms"),
    alarms.slice(0, 40),
    (alarm) => `${alarm.region}/${alarm.edge}/${alarm.do}`,
    (alarm) => {
      const where = alarm.region ? h("a", { href: `#/region/${encodeURIComponent(alarm.region)}`, text: [alarm.region, alarm.edge].filter(Boolean).join(" / ") }) : h("span", { text: "coordinator" });
      return h("li", {}, h("span", { class: "mark", "aria-hidden": "true" }), h("span", { class: "grow" }, h("strong"), h("span", { class: "small soft" }, where, ` · ${alarm.do}`)), h("time", { class: "small soft" }));
    },
    (element, alarm) => {
      setAttribute(element, "class", `alarm ${alarm.severity}`);
      setText(element.children[1].firstChild, alarm.what);
      setText(element.lastChild, span(state.at_ms - alarm.since_ms));
    },
  );
}

$("map").append(
  map.element,
  h(
    "p",
    { class: "map-legend small soft", "aria-hidden": "true" },
    ...["ok", "doubtful", "draining", "offline"].map((state) => h("span", { class: `state ${state}`, text: state })),
    h("span", { class: "city-key", text: "players by city, 15 minutes, never fewer than 3" }),
  ),
);
$("histograms").append(histograms.element);
window.addEventListener("hashchange", () => route());
document.addEventListener("visibilitychange", show);

if (token.get()) live.start(token.get());
else signedOut("");

// For tests and for the console: what the page knows, read only by habit.
window.gameedge = { world, live, call, path };
