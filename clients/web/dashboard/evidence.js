// The evidence viewer: why somebody was flagged, shot by shot, and what a person decides about it.

import { ApiError, call, path } from "./api.js";
import { ask, h, s, setAttribute, setText } from "./dom.js";
import { ms, when } from "./format.js";
import { Replay, thumbnail } from "./replay.js";

const SCORES = 96;
const WEALTH = 96;
const LOUDEST = 6;
const STEPS = 32; // of the slider, a shot

const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class EvidenceView {
  constructor(region, flag, may) {
    this.region = region;
    this.flag = flag;
    this.may = may; // whether decisions are for this operator
    this.element = h("article", { class: "evidence", "aria-labelledby": "evidence-title" });
    this.said = h("p", { class: "said", role: "status" });
    this.load();
  }

  end() {
    this.replay?.end();
    this.gone = true;
  }

  get path() {
    return path("regions", this.region, "flags", this.flag);
  }

  async load() {
    if (!this.may) {
      this.element.replaceChildren(h("h1", { id: "evidence-title", text: "Evidence" }), h("p", { text: "Your token is a viewer's; evidence needs the role operator." }));
      return;
    }
    this.element.replaceChildren(h("h1", { id: "evidence-title", text: "Evidence" }), h("p", { class: "soft", role: "status", text: `Fetching the clip from ${this.region}…` }));
    try {
      this.found = await call(this.path);
    } catch (error) {
      if (this.gone) return;
      this.element.replaceChildren(
        h("h1", { id: "evidence-title", text: "Evidence" }),
        h("p", { class: "bad", role: "alert", text: error.message }),
        h("button", { type: "button", text: "Try again", on: { click: () => this.load() } }),
      );
      return;
    }
    if (!this.gone) this.build();
  }

  build() {
    const { flag, clip } = this.found;
    this.replay?.end();
    this.shots = (clip?.blocks ?? []).flatMap((block, k) => block.shots.map((shot) => ({ ...shot, block: k })));
    const encoded = encodeURIComponent(this.region);
    this.element.replaceChildren(
      h(
        "header",
        { class: "row wrap evidence-head" },
        h("h1", { id: "evidence-title", text: `${flag.rule.slice(0, 1).toUpperCase()}${flag.rule.slice(1).replaceAll("_", " ")} evidence` }),
        h("span", { class: `chip decision ${flag.state}`, text: flag.state }),
        h("span", { class: "soft grow small" }, `${when(flag.at_ms)} UTC · `, h("a", { href: `#/region/${encoded}`, text: this.region }), ` · flag ${flag.flag.slice(0, 12)}`),
        h("a", { class: "button", href: `#/player/${encodeURIComponent(flag.player)}`, text: "Player" }),
        flag.match && h("a", { class: "button", href: `#/match/${encoded}/${encodeURIComponent(flag.match)}`, text: "Match" }),
      ),
      h(
        "div",
        { class: "evidence-grid" },
        h(
          "div",
          { class: "evidence-main" },
          this.buildScene(clip),
          clip && this.shots.length ? this.buildTimeline(clip) : h("p", { class: "panel", text: this.found.unreadable || "This flag has no shots: it was raised by what the gate refused." }),
        ),
        this.buildSide(flag),
      ),
      clip && Object.keys(clip.refused).length ? buildRefused(clip.refused) : "",
    );
    if (this.replay) {
      const loudest = this.shots.reduce((best, shot, k) => ((shot.score ?? -99) > (this.shots[best].score ?? -99) ? k : best), 0);
      this.replay.seek(loudest, this.replay.last);
    }
  }

  buildScene(clip) {
    if (!clip || !this.shots.length) return h("div", { class: "panel scene" }, h("p", { class: "soft", text: "Nothing to replay." }));
    const canvas = h("canvas", { class: "replay", role: "img", "aria-label": "Replay of the cursor around the target" });
    this.caption = h("p", { class: "small soft", "aria-live": "off" });
    this.button = h("button", { type: "button", class: "primary", text: "Play", id: "replay-play", on: { click: () => this.toggle() } });
    this.slider = h("input", { type: "range", min: 0, max: this.shots.length * STEPS - 1, value: 0, "aria-label": "Place in the clip", class: "grow", on: { input: () => this.slid() } });
    const speed = h(
      "select",
      { "aria-label": "Speed", on: { change: () => (this.replay.speed = Number(speed.value)) } },
      ...[[0.1, "slow ×0.1"], [0.25, "×0.25"], [0.5, "×0.5"], [1, "real time"]].map(([value, text]) => h("option", { value, text, selected: value === 0.5 })),
    );
    this.replay = new Replay(canvas, this.shots, clip.radius, () => this.moved());
    const go = (by) => () => this.replay.seek(this.replay.shot + by);
    const scene = h(
      "section",
      { class: "panel scene", "aria-label": "Replay", tabindex: -1 },
      h("div", { class: "stage" }, canvas),
      h(
        "div",
        { class: "row legend small", "aria-hidden": "true" },
        h("span", { class: "key path", text: "cursor" }),
        h("span", { class: "key line", text: "line of fire" }),
        h("span", { class: "key target", text: "target" }),
        this.caption,
      ),
      h(
        "div",
        { class: "row wrap transport" },
        h("button", { type: "button", "aria-label": "Shot before", text: "‹", on: { click: go(-1) } }),
        this.button,
        h("button", { type: "button", "aria-label": "Next shot", text: "›", on: { click: go(1) } }),
        this.slider,
        speed,
      ),
    );
    scene.addEventListener("keydown", (event) => this.key(event));
    return scene;
  }

  key(event) {
    if (event.target.matches("input, select, button") && event.key !== "Escape") return;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowRight") this.replay.seek(this.replay.shot + 1);
    else if (event.key === "ArrowLeft") this.replay.seek(this.replay.shot - 1);
    else return;
    event.preventDefault();
  }

  toggle() {
    if (this.replay.playing) this.replay.pause();
    else this.replay.play();
  }

  slid() {
    const place = Number(this.slider.value);
    if (this.replay.playing) this.replay.pause();
    this.replay.seek(Math.floor(place / STEPS), (place % STEPS) * (this.replay.last / (STEPS - 1)));
  }

  moved() {
    const { shot: k, at, last, playing } = this.replay;
    const shot = this.shots[k];
    setText(this.button, playing ? "Pause" : "Play");
    this.slider.value = k * STEPS + Math.round((at / last) * (STEPS - 1));
    setAttribute(this.slider, "aria-valuetext", `shot ${k + 1} of ${this.shots.length}, ${Math.round(((last - at) * 1000) / 60)} ms before it left`);
    setText(this.caption, `shot ${k + 1} of ${this.shots.length} · tick ${shot.tick}`);
    if (this.shownShot === k) return;
    this.shownShot = k;
    this.showFacts(shot);
    if (this.marker) {
      const left = (this.wide * (k + 0.5)) / this.shots.length;
      setAttribute(this.marker, "x1", left);
      setAttribute(this.marker, "x2", left);
    }
  }

  showFacts(shot) {
    const facts = [
      ["score (log odds of a machine)", shot.score === null ? "not usable" : shot.score.toFixed(2)],
      ["result", shot.hit ? "hit" : "missed"],
      ["target in sight for", shot.visible_ms === null ? "?" : ms(shot.visible_ms)],
      ["cursor on target for", shot.on_target_ms === null ? "?" : ms(shot.on_target_ms)],
      ["since the shot before", shot.since_ms === null ? "?" : ms(shot.since_ms)],
      ["distance", shot.distance === null ? "?" : shot.distance.toFixed(1)],
    ];
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
    const classes = this.found.clip.classes;
    this.shares.replaceChildren(
      ...classes.map((name, k) => {
        const bar = h("span", { class: `share-bar ${k ? "machine" : "human"}` });
        bar.style.inlineSize = `${100 * (shot.shares[k] ?? 0)}%`;
        return h("li", {}, h("span", { text: name }), h("span", { class: "share-track" }, bar), h("span", { class: "number", text: `${Math.round(100 * (shot.shares[k] ?? 0))} %` }));
      }),
    );
  }

  buildSide(flag) {
    this.facts = h("dl", { class: "facts" });
    this.shares = h("ul", { class: "shares plain" });
    return h(
      "aside",
      { class: "evidence-side" },
      h(
        "section",
        { class: "panel", "aria-labelledby": "why-title" },
        h("h2", { id: "why-title", text: "Why" }),
        h("ol", { class: "reasons" }, ...flag.reasons.map((reason) => h("li", { text: reason }))),
      ),
      this.buildDecide(flag),
      this.shots.length
        ? h("section", { class: "panel", "aria-labelledby": "shot-title" }, h("h2", { id: "shot-title", text: "This shot looks like" }), this.shares, this.facts)
        : "",
    );
  }

  buildDecide(flag) {
    const note = h("input", { id: "note", maxlength: 256, placeholder: "Note for the audit log", "aria-label": "Note for the audit log" });
    const decide = (decision) => () => this.decide(decision, note.value);
    const history = this.found.decisions.map((entry) =>
      h("li", { class: "small", text: `${when(entry.at_ms).slice(0, 16)} ${entry.who}: ${entry.decision}${entry.late ? " (too late, not taken)" : ""}${entry.note ? `, “${entry.note}”` : ""}` }),
    );
    return h(
      "section",
      { class: "panel decide", "aria-labelledby": "decide-title" },
      h("h2", { id: "decide-title", text: "Decide" }),
      h("p", { class: "small soft", text: "A flag bans nobody. What you decide is kept with the flag and in the audit log, with your name." }),
      note,
      h(
        "div",
        { class: "row wrap" },
        h("button", { type: "button", class: "danger grow", id: "uphold", text: "Uphold", disabled: flag.state === "upheld", on: { click: decide("upheld") } }),
        h("button", { type: "button", class: "grow", id: "clear", text: "Clear", disabled: flag.state === "cleared", on: { click: decide("cleared") } }),
        h("button", { type: "button", class: "grow", id: "appeal", text: "Compute again", title: "Appeal: decide again from the clip, bit for bit", on: { click: () => this.appeal() } }),
      ),
      this.said,
      flag.state === "upheld" ? h("button", { type: "button", class: "danger", id: "ban", text: "Ban this player…", on: { click: () => this.ban() } }) : "",
      history.length ? h("ul", { class: "plain history" }, ...history) : "",
    );
  }

  say(text, kind = "") {
    this.said.className = `said ${kind}`;
    setText(this.said, text);
  }

  async decide(decision, note) {
    const expected = this.found.flag.state;
    this.say("Deciding…");
    try {
      await call(`${this.path}/decide`, { method: "POST", body: { decision, expected, note } });
      this.found = await call(this.path);
      this.build();
      this.say(`Decided: ${expected} → ${decision}.`, "good");
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        this.say(`Somebody was faster: ${error.message}.`, "bad");
        this.said.append(" ", h("button", { type: "button", id: "reopen", text: "Open it again", on: { click: () => this.load().then(() => this.say("")) } }));
      } else this.say(error.message, "bad");
    }
  }

  async appeal() {
    this.say(`Computing again in ${this.region}…`);
    try {
      const again = await call(`${this.path}/appeal`, { method: "POST" });
      const text = `${again.shots} shots in ${again.blocks} blocks`;
      this.say(again.same ? `The same bits came out: ${text}, level ${again.level || "none"}. ${again.detail}` : `NOT the same: ${again.detail}`, again.same ? "good" : "bad");
    } catch (error) {
      this.say(error.message, "bad");
    }
  }

  async ban() {
    const { player, flag } = this.found.flag;
    const reason = await ask("Ban this player?", `${player} gets no placement any more. This can be undone on the player's page.`, "Ban", { danger: true, note: true });
    if (reason === null) return;
    try {
      await call(path("players", player, "ban"), { method: "POST", body: { reason: `${flag} ${reason}`.trim().slice(0, 256) } });
      this.say("Banned.", "good");
    } catch (error) {
      this.say(error.message, "bad");
    }
  }

  // Scores of all shots as bars, and below them how the wealth of evidence grew, block by block.
  buildTimeline(clip) {
    const wide = window.innerWidth < 700 ? 420 : 900; // in its own units: letters stay legible
    this.wide = wide;
    const step = wide / this.shots.length;
    const scores = this.shots.map((shot) => shot.score ?? 0);
    const most = Math.max(4, ...scores.map(Math.abs));
    const middle = SCORES / 2;
    const bars = this.shots.map((shot, k) => {
      const high = (Math.abs(scores[k]) / most) * (middle - 4);
      const kind = scores[k] > 0 ? "machine" : "human";
      return s(
        "rect",
        { class: `score ${kind}`, x: (k * step + step * 0.12).toFixed(1), width: Math.max(1, step * 0.76).toFixed(1), y: (scores[k] > 0 ? middle - high : middle).toFixed(1), height: Math.max(1, high).toFixed(1), on: { click: () => this.replay.seek(k) } },
        s("title", { text: `shot ${k + 1}, tick ${shot.tick}: score ${scores[k].toFixed(1)}` }),
      );
    });
    const top = SCORES + 26;
    const powers = clip.blocks.map((block) => Math.max(0, block.power ?? 0));
    const high = Math.max(5, ...powers);
    const y = (power) => top + WEALTH - (WEALTH * power) / high;
    let at = 0;
    const points = [`0,${y(0).toFixed(1)}`];
    const walls = [];
    clip.blocks.forEach((block, k) => {
      at += block.shots.length * step;
      points.push(`${at.toFixed(1)},${y(powers[k]).toFixed(1)}`);
      if (k < clip.blocks.length - 1) walls.push(s("line", { class: "wall", x1: at, x2: at, y1: 0, y2: top + WEALTH }));
    });
    const levels = Object.entries(clip.levels).map(([name, power], k) => [
      s("line", { class: `level ${name}`, x1: 0, x2: wide, y1: y(power), y2: y(power) }),
      s("text", { class: "label", x: 4 + 110 * k, y: y(power) - 4, text: `${name}: 1 in ${Math.round(10 ** power).toLocaleString("en")}` }),
    ]);
    this.marker = s("line", { class: "marker", y1: 0, y2: top + WEALTH, x1: -9, x2: -9 });
    const loudest = this.shots
      .map((shot, k) => [shot, k])
      .sort((a, b) => (b[0].score ?? -99) - (a[0].score ?? -99))
      .slice(0, LOUDEST);
    const thumbs = loudest.map(([shot, k]) => {
      const canvas = h("canvas", { "aria-hidden": "true" });
      requestAnimationFrame(() => thumbnail(canvas, shot, clip.radius));
      return h(
        "button",
        { type: "button", class: "thumb", on: { click: () => this.showShot(k) } },
        canvas,
        h("span", { class: "unseen", text: "Replay " }),
        h("span", { class: "small", text: `shot ${k + 1} · ${(shot.score ?? 0).toFixed(1)}` }),
      );
    });
    return h(
      "section",
      { class: "panel timeline", "aria-labelledby": "timeline-title" },
      h("h2", { id: "timeline-title", text: "Over time" }),
      h("div", { class: "thumbs" }, ...thumbs),
      h("p", { class: "small soft", text: "Above: each shot's score, up is like a machine, down like a person. Below: the odds that an honest career ever looks like this." }),
      s(
        "svg",
        { viewBox: `0 -4 ${wide} ${top + WEALTH + 8}`, role: "img", class: "scores", "aria-label": `Scores of ${this.shots.length} shots in ${clip.blocks.length} blocks; the wealth ends at ten to the power of ${(powers.at(-1) ?? 0).toFixed(1)}` },
        ...walls,
        s("line", { class: "base", x1: 0, x2: wide, y1: middle, y2: middle }),
        ...bars,
        ...levels.flat(),
        s("polyline", { class: "wealth", points: points.join(" ") }),
        this.marker,
      ),
    );
  }

  showShot(k) {
    this.replay.seek(k, calm() ? this.replay.last : 0);
    if (!calm()) this.replay.play();
    this.element.querySelector(".scene").scrollIntoView({ block: "nearest" });
  }
}

function buildRefused(refused) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "refused-title" },
    h("h2", { id: "refused-title", text: "Refused by the server's rules" }),
    h("ul", {}, ...Object.entries(refused).map(([name, n]) => h("li", { text: `${name.replaceAll("_", " ")}: ${n} commands` }))),
  );
}
