// The evidence viewer: why somebody was flagged, shot by shot or movement by movement, and what a person decides about it.

import { ApiError, call, path } from "./api.js";
import { ask, h, setText } from "./dom.js";
import { when } from "./format.js";
import { Repeats } from "./repeats.js";
import { Shots } from "./shots.js";

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
    this.picture?.end();
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
    this.picture?.end();
    this.picture = picture(clip, flag.at_ms);
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
        h("div", { class: "evidence-main" }, ...(this.picture ? [this.picture.scene.element, this.picture.timeline] : [h("p", { class: "panel", text: this.found.unreadable || without(clip) })])),
        this.buildSide(flag),
      ),
      clip && Object.keys(clip.refused).length ? buildRefused(clip.refused) : "",
    );
    this.picture?.start();
  }

  buildSide(flag) {
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
      this.picture?.side,
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
    if (this.busy) return; // a second click is the same decision, not a second operator
    const expected = this.found.flag.state;
    this.busy = true;
    this.say("Deciding…");
    try {
      await call(`${this.path}/decide`, { method: "POST", body: { decision, expected, note } });
      const said = `Decided: ${expected} → ${decision}.`;
      try {
        this.found = await call(this.path);
      } catch (error) {
        this.say(`${said} What is shown is from before: ${error.message}`, "good");
        return;
      }
      if (this.gone) return;
      this.build();
      this.say(said, "good");
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) {
        this.say(`Somebody was faster: ${error.message}.`, "bad");
        this.said.append(" ", h("button", { type: "button", id: "reopen", text: "Open it again", on: { click: () => this.load().then(() => this.say("")) } }));
      } else this.say(error.message, "bad");
    } finally {
      this.busy = false;
    }
  }

  async appeal() {
    this.say(`Computing again in ${this.region}…`);
    try {
      const again = await call(`${this.path}/appeal`, { method: "POST" });
      const text = this.found.clip?.repeats ? `${again.blocks} repeats` : `${again.shots} shots in ${again.blocks} blocks`;
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
}

// What there is to see of a clip; null: nothing.
function picture(clip, atMs) {
  if (clip?.repeats?.found.length) return new Repeats(clip, atMs);
  return clip?.blocks.some((block) => block.shots.length) ? new Shots(clip) : null;
}

function without(clip) {
  if (clip.blocks.length) return "No shot is in this clip: the way of the cursor between shots raised the flag. What each moment was worth: gameedge admin review show.";
  return "There is nothing to replay: this flag was raised by what the server's rules refused.";
}

function buildRefused(refused) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "refused-title" },
    h("h2", { id: "refused-title", text: "Refused by the server's rules" }),
    h("ul", {}, ...Object.entries(refused).map(([name, n]) => h("li", { text: `${name.replaceAll("_", " ")}: ${n} commands` }))),
  );
}
