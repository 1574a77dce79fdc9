// What is below the overview: a region, a player, a match, all flags, who may use this.

import { call, path } from "./api.js";
import { Histograms, shares } from "./charts.js";
import { ask, h, keyed, setAttribute, setText } from "./dom.js";
import { count, iso, ms, percent, span, when } from "./format.js";

const link = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;
const short = (id) => (id.length > 14 ? `${id.slice(0, 12)}…` : id);

// Loads into an element and says what went wrong, with a way to try again.
async function load(element, question, show) {
  element.replaceChildren(h("p", { class: "soft small", role: "status", text: "Loading…" }));
  try {
    element.replaceChildren(...[show(await question())].flat());
  } catch (error) {
    element.replaceChildren(
      h("p", { class: "bad small", role: "alert", text: error.message }),
      h("button", { type: "button", text: "Try again", on: { click: () => load(element, question, show) } }),
    );
  }
}

function table(caption, heads, rows) {
  if (!rows.length) return h("p", { class: "soft", text: "None." });
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": `${caption}, scrolls` },
    h(
      "table",
      {},
      h("caption", { class: "unseen", text: caption }),
      h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col", text })))),
      h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((cell) => h("td", {}, cell))))),
    ),
  );
}

const panel = (id, title, ...children) => h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id, text: title }), ...children);
const decision = (state) => h("span", { class: `chip decision ${state}`, text: state });

export class RegionView {
  constructor(world, region) {
    this.world = world;
    this.region = region;
    this.title = h("h1", { text: region });
    this.state = h("span", { class: "state" });
    this.facts = h("p", { class: "soft grow small" });
    this.histograms = new Histograms();
    this.edges = h("div");
    this.queues = h("ul", { class: "plain shares" });
    this.styles = h("ul", { class: "plain shares" });
    this.models = h("div");
    this.matches = h("div");
    this.flags = h("div");
    this.steer = h("button", { type: "button", on: { click: () => this.drain() } });
    this.said = h("p", { class: "small", role: "status" });
    this.element = h(
      "article",
      { class: "stack" },
      h("header", { class: "row wrap" }, this.title, this.state, this.facts, world.may("operator") && this.steer),
      this.said,
      panel("r-processes", "Processes", this.edges),
      panel("r-histograms", "The last seconds", this.histograms.element),
      h("div", { class: "three" }, panel("r-queues", "Queue", this.queues), panel("r-styles", "NPCs by style", this.styles), panel("r-models", "Models", this.models)),
      h(
        "div",
        { class: "two" },
        h("section", { class: "panel", "aria-labelledby": "r-matches" }, h("div", { class: "row" }, h("h2", { id: "r-matches", class: "grow", text: "Open matches" }), again(() => this.loadMatches())), this.matches),
        h("section", { class: "panel", "aria-labelledby": "r-flags" }, h("div", { class: "row" }, h("h2", { id: "r-flags", class: "grow", text: "Flags" }), again(() => this.loadFlags())), this.flags),
      ),
    );
    this.loadMatches();
    this.loadFlags();
  }

  loadMatches() {
    load(
      this.matches,
      () => call(`${path("regions", this.region, "matches")}?limit=30`),
      ({ matches }) =>
        table(
          "Open matches",
          ["Match", "Mode", "People", "Process", "Age"],
          matches.map((m) => [
            h("a", { href: link("match", this.region, m.match), text: short(m.match) }),
            m.mode,
            count(m.teams.reduce((sum, team) => sum + team.players.length, 0)),
            m.edge,
            span(Date.now() - m.created_ms),
          ]),
        ),
    );
  }

  loadFlags() {
    if (!this.world.may("operator")) {
      this.flags.replaceChildren(h("p", { class: "soft small", text: "Evidence needs the role operator." }));
      return;
    }
    load(
      this.flags,
      () => call(`${path("regions", this.region, "flags")}?limit=30`),
      ({ flags }) =>
        table(
          "Flags",
          ["Flag", "State", "Player", "Rule", "When"],
          flags.map((f) => [
            h("a", { href: link("flag", this.region, f.flag), text: short(f.flag) }),
            decision(f.state),
            h("a", { href: link("player", f.player), text: short(f.player) }),
            f.rule,
            `${span(Date.now() - f.at_ms)} ago`,
          ]),
        ),
    );
  }

  async drain() {
    const on = this.row?.status === "draining";
    const title = on ? `Open ${this.row.title} again?` : `Drain ${this.row?.title ?? this.region}?`;
    const text = on ? "Players are placed there again." : "No new players; running matches are played to their end. Then its processes stop.";
    if ((await ask(title, text, on ? "Open" : "Drain", { danger: !on })) === null) return;
    try {
      await call(path("regions", this.region, on ? "resume" : "drain"), { method: "POST" });
      setText(this.said, on ? "Opened again." : "Draining.");
    } catch (error) {
      setText(this.said, error.message);
    }
  }

  update() {
    const { rows, detail, bounds, at } = this.world;
    this.row = rows.find((row) => row.region === this.region);
    if (!this.row) {
      setText(this.facts, "No such region is known to this coordinator.");
      return;
    }
    const row = this.row;
    setText(this.title, row.title);
    setText(this.state, row.status);
    setAttribute(this.state, "class", `state ${row.status}`);
    setText(this.facts, `${row.region} · ${count(row.players)} of ${count(row.players_max)} players · ${count(row.matches)} matches · ${count(row.npcs)} NPCs · version ${row.version || "?"}`);
    setText(this.steer, row.status === "draining" ? "Open again" : "Drain…");
    if (detail?.region !== this.region) return;
    this.histograms.show(detail.histograms, bounds);
    this.showEdges(detail.edges, at);
    shares(this.queues, detail.queued);
    const styles = {};
    for (const edge of detail.edges) for (const [name, n] of Object.entries(edge.report?.npc_styles ?? {})) styles[name] = (styles[name] ?? 0) + n;
    shares(this.styles, styles);
    const models = detail.edges.flatMap((edge) => (edge.report?.models ?? []).map((model) => ({ edge: edge.edge, ...model })));
    keyed(
      this.models,
      models,
      (model) => `${model.edge} ${model.model}`,
      () => h("p", { class: "small model" }),
      (element, model) => {
        const trial = model.canary || model.shadow;
        const more = trial ? `, trial ${trial} ${percent(model.share ?? 0)}` : "";
        const state = model.state && model.state !== "running" ? ` (${model.state}: ${model.why ?? ""})` : "";
        setText(element, `${model.edge} · ${model.model}: ${model.stable ?? ""}${more}${state} · ${count(model.actions ?? 0)} answers, ${count(model.fallbacks ?? 0)} fallbacks, ${count(model.late ?? 0)} late`);
      },
    );
  }

  showEdges(edges) {
    if (!this.edgeBody) {
      const heads = ["Process", "State", "Players", "Matches", "Tick late p50 / p99", "Busy", "Infer p99", "Batch", "Outbox", "RTT p50", "Address"];
      this.edgeBody = h("tbody");
      this.edges.replaceChildren(
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Processes, scrolls" }, h("table", {}, h("caption", { class: "unseen", text: "Processes" }), h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col", text })))), this.edgeBody)),
      );
    }
    keyed(
      this.edgeBody,
      edges,
      (edge) => edge.edge,
      () => h("tr", {}, h("th", { scope: "row" }), h("td", {}, h("span", { class: "state" })), ...Array.from({ length: 9 }, () => h("td"))),
      (element, edge) => {
        const report = edge.report ?? {};
        const state = !edge.online ? "offline" : edge.draining ? "draining" : edge.doubt ? "doubtful" : "ok";
        const late = report.tick_lateness_ms ?? {};
        const cells = [
          `${count(report.players ?? 0)} / ${count(report.players_max ?? 0)}`,
          count(report.matches ?? 0),
          `${ms(late.p50)} / ${ms(late.p99)}`,
          percent(report.tick_busy ?? 0),
          ms(report.inference_ms?.p99),
          count(report.inference_batch ?? 0),
          count(report.outbox ?? 0),
          ms(report.rtt_ms?.p50),
          edge.url,
        ];
        setText(element.children[0], edge.edge);
        setAttribute(element.children[1].firstChild, "class", `state ${state}`);
        setText(element.children[1].firstChild, edge.doubt && edge.online ? edge.doubt : state);
        cells.forEach((text, k) => setText(element.children[k + 2], edge.online || k === 8 ? text : "–"));
      },
    );
  }
}

const again = (click) => h("button", { type: "button", class: "quiet small", text: "Refresh", on: { click } });

export class PlayerView {
  constructor(world, player) {
    this.world = world;
    this.player = player;
    this.body = h("div", { class: "stack" });
    this.element = h("article", { class: "stack" }, this.body);
    this.load();
  }

  load() {
    load(
      this.body,
      () => call(path("players", this.player)),
      (account) => {
        const said = h("p", { class: "small", role: "status" });
        const act = h("button", { type: "button", class: account.banned ? "" : "danger", text: account.banned ? "Unban…" : "Ban…", on: { click: () => this.ban(account.banned, said) } });
        const why = h("div");
        load(
          why,
          () => call(path("players", this.player, "placement")),
          (placed) => [
            h("p", { text: `Placed in ${placed.region}, ${when(placed.at_ms)} UTC${placed.stayed ? ", stayed although another is a little nearer" : ""}.` }),
            table(
              "Why there",
              ["Region", "Total", "RTT", "Load", "Queue", "Full", "Basis", "Note"],
              Object.entries(placed.why)
                .sort((a, b) => Boolean(a[1].excluded) - Boolean(b[1].excluded) || a[1].total_ms - b[1].total_ms)
                .map(([name, w]) => [h("a", { href: link("region", name), text: name }), ms(w.total_ms), ms(w.rtt_ms), ms(w.load_ms), ms(w.queue_ms), percent(w.fullness), w.basis, w.excluded || w.doubtful || (name === placed.region ? "chosen" : "")]),
            ),
          ],
        );
        return [
          h(
            "header",
            { class: "row wrap" },
            h("h1", { class: "name", text: account.name }),
            account.banned ? h("span", { class: "chip decision upheld", text: "banned" }) : "",
            h("span", { class: "soft small grow", text: `${account.player} · since ${when(account.created_ms).slice(0, 10)} · trust ${account.trust}` }),
            this.world.may("operator") ? act : "",
          ),
          said,
          h(
            "div",
            { class: "two" },
            panel(
              "p-ratings",
              "Ratings",
              table("Ratings", ["Mode", "Rating", "± sigma", "Games"], Object.entries(account.ratings).map(([mode, r]) => [mode, r.rating.toFixed(1), r.sigma.toFixed(1), count(r.games)])),
            ),
            panel(
              "p-flags",
              "Flags that this coordinator heard",
              table("Flags", ["Flag", "Rule", "Reasons", "When"], account.verdicts.map(({ region, verdict: v }) => [h("a", { href: link("flag", region, v.flag), text: short(v.flag) }), v.rule, h("span", { class: "long-text", text: v.reasons[0] ?? "" }), `${span(Date.now() - v.at_ms)} ago`])),
            ),
          ),
          panel("p-placement", "Last placement", why),
        ];
      },
    );
  }

  async ban(banned, said) {
    const reason = await ask(banned ? "Unban this player?" : "Ban this player?", banned ? "Placements are given again." : "No placement any more; a match that runs is played to its end.", banned ? "Unban" : "Ban", { danger: !banned, note: true });
    if (reason === null) return;
    try {
      await call(path("players", this.player, banned ? "unban" : "ban"), { method: "POST", body: { reason } });
      this.load();
    } catch (error) {
      setText(said, error.message);
    }
  }

  update() {}
}

export class MatchView {
  constructor(world, region, match) {
    this.body = h("div", { class: "stack" });
    this.flags = h("div");
    this.world = world;
    this.match = match;
    this.element = h("article", { class: "stack" }, h("h1", { text: `Match ${short(match)}` }), this.body, panel("m-flags", "Flags raised in it", this.flags));
    load(
      this.body,
      () => call(`${path("regions", region, "matches")}?match=${encodeURIComponent(match)}`),
      ({ matches }) => {
        if (!matches.length) return h("p", { class: "panel", text: "This match is over, or never was; its flags remain." });
        const m = matches[0];
        return [
          h("a", { class: "button watch", href: `/watch?match=${encodeURIComponent(match)}`, target: "_blank", rel: "noopener", text: "Watch it" }),
          h("p", { class: "soft" }, `${m.mode} on `, h("a", { href: link("region", region), text: region }), ` / ${m.edge}, open for ${span(Date.now() - m.created_ms)}${m.epoch ? `, taken over ${m.epoch} times` : ""}`),
          h(
            "div",
            { class: "three" },
            ...m.teams.map((team, k) =>
              h(
                "section",
                { class: `panel team-${k % 8}`, "aria-label": `Team ${k + 1}` },
                h("h2", { text: `Team ${k + 1}` }),
                h("ul", { class: "plain" }, ...team.players.map((player, at) => h("li", {}, h("a", { class: "name", href: link("player", player), text: team.names[at] || short(player) })))),
                team.players.length ? "" : h("p", { class: "soft", text: "NPCs alone" }),
              ),
            ),
          ),
        ];
      },
    );
    this.update();
  }

  update() {
    const found = [...this.world.verdicts.values()].filter(({ verdict }) => verdict.match === this.match);
    if (this.shown === found.length) return;
    this.shown = found.length;
    this.flags.replaceChildren(table("Flags", ["Flag", "Player", "Rule", "Why"], found.map(({ region, verdict: v }) => [h("a", { href: link("flag", region, v.flag), text: short(v.flag) }), h("a", { href: link("player", v.player), text: short(v.player) }), v.rule, h("span", { class: "long-text", text: v.reasons[0] ?? "" })])));
  }
}

export class FlagsView {
  constructor(world) {
    this.world = world;
    this.filter = h("input", { type: "search", placeholder: "Filter: rule, player, region, reason", "aria-label": "Filter flags", id: "flag-filter", on: { input: () => this.draw() } });
    this.shown = h("span", { class: "small soft", role: "status" });
    this.list = h("ul", { class: "plain verdicts long" });
    this.element = h("article", { class: "stack" }, h("header", { class: "row wrap" }, h("h1", { class: "grow", text: "Flags" }), this.shown, this.filter), h("section", { class: "panel", "aria-label": "Flags, newest first" }, this.list));
    this.draw();
  }

  update() {
    this.draw();
  }

  draw() {
    const text = this.filter.value.trim().toLowerCase();
    const found = [...this.world.verdicts.values()].reverse().filter(({ region, verdict: v }) => !text || `${v.rule} ${v.player} ${region} ${v.flag} ${v.reasons.join(" ")}`.toLowerCase().includes(text));
    setText(this.shown, `${count(found.length)} of ${count(this.world.verdicts.size)}`);
    showVerdicts(this.list, found.slice(0, 300), true);
    if (!found.length) setText(this.shown, this.world.verdicts.size ? "none fits" : "nothing was flagged since this coordinator started");
  }
}

// The stream of flags, newest first.
export function showVerdicts(list, entries, long = false) {
  keyed(
    list,
    entries,
    ({ region, verdict }) => `${region}/${verdict.flag}`,
    ({ region, verdict }) =>
      h(
        "li",
        { class: "verdict" },
        h("a", { class: "rule", href: link("flag", region, verdict.flag), "aria-label": `Evidence: ${verdict.rule} in ${region}` }, h("span", { class: `chip rule-${verdict.rule}`, text: verdict.rule })),
        h("span", { class: "reason grow" }, h("span", { class: "reason-text", text: long ? verdict.reasons.join("; ") : (verdict.reasons[0] ?? "").replace(/^typically, /, "") }), h("span", { class: "soft small" }, h("a", { href: link("player", verdict.player), text: short(verdict.player) }), ` · ${region}`)),
        h("time", { class: "small soft", datetime: iso(verdict.at_ms) }),
      ),
    (element, { verdict }) => setText(element.lastChild, span(Date.now() - verdict.at_ms)),
  );
}

export class AccessView {
  constructor(world) {
    const result = h("div", { role: "status" });
    const name = h("input", { id: "for-whom", maxlength: 48, required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._@ \\-]*", placeholder: "ann@studio" });
    const role = h("select", { id: "as-what" }, ...["viewer", "operator", "owner"].map((value) => h("option", { value, text: value })));
    const life = h("select", { id: "for-long" }, ...[[1, "1 hour"], [8, "8 hours"], [24, "1 day"], [168, "7 days"]].map(([hours, text]) => h("option", { value: hours, text, selected: hours === 8 })));
    const form = h(
      "form",
      { class: "row wrap issue" },
      h("div", {}, h("label", { for: "for-whom", text: "For whom" }), name),
      h("div", {}, h("label", { for: "as-what", text: "As" }), role),
      h("div", {}, h("label", { for: "for-long", text: "For" }), life),
      h("button", { class: "primary", text: "Give out a token" }),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const given = await call(path("tokens"), { method: "POST", body: { name: name.value.trim(), role: role.value, life_ms: Number(life.value) * 3600000 } });
        result.replaceChildren(h("p", { text: `For ${given.name} (${given.role}), until ${when(given.expires_ms)} UTC. It is shown once:` }), h("textarea", { class: "mono grow", readonly: true, rows: 4, "aria-label": "The token", text: given.token }));
      } catch (error) {
        result.replaceChildren(h("p", { class: "bad", role: "alert", text: error.message }));
      }
    });
    const audit = h("div");
    this.element = h(
      "article",
      { class: "stack" },
      h("h1", { text: "Access" }),
      world.may("owner") ? panel("a-issue", "Give out a token", h("p", { class: "soft small", text: "Viewers see; operators open evidence, decide, ban and drain; owners give out tokens." }), form, result) : "",
      panel("a-audit", "What operators did", audit),
    );
    if (world.may("operator")) {
      load(
        audit,
        () => call(`${path("audit")}?limit=100`),
        ({ entries }) => table("Audit log", ["When (UTC)", "Who", "Action", "What"], entries.map(auditRow)),
      );
    } else audit.append(h("p", { class: "soft", text: "The audit log needs the role operator." }));
  }

  update() {}
}

function auditRow(line) {
  try {
    const { at_ms: at, who = "?", role, action, from, by, ...rest } = JSON.parse(line);
    const what = Object.entries(rest)
      .filter(([, value]) => value !== "" && value !== null)
      .map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    return [when(at), h("span", { title: `${role ?? ""} from ${from}, by ${by}`, text: who }), action, h("span", { class: "small long-text", text: what.join(", ") })];
  } catch {
    return ["?", "?", "unreadable", line.slice(0, 200)];
  }
}
