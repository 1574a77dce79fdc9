/** What is said in words over the arena: time, scores, health, kills, network. Written only where it changed. */

import { clock, make, nameTag, person, teamName, teamSign } from "./names.js";

const FEED_MAX = 5;
const FEED_MS = 6000;
const by = (id) => document.getElementById(id);

export class Hud {
  constructor(say) {
    this.say = say;
    this.text = new Map();
    this.match = null;
  }

  begin(match) {
    this.match = match;
    this.text.clear();
    this.teamRow = "";
    by("feed").replaceChildren();
    by("arena").classList.toggle("watching", match.watching);
    by("vitals").hidden = match.watching;
    by("notice").hidden = true;
    by("scores").hidden = true;
    by("show-scores").setAttribute("aria-pressed", "false");
    by("leave").textContent = match.watching ? "Stop watching" : "Leave";
    const own = match.people.get(match.started.seat);
    const sign = own ? make("span", teamSign(own.team), `team-${own.team % 8}`) : "";
    by("place-text").replaceChildren(own ? `team ${teamName(own.team)} ` : "", sign);
  }

  #set(id, text) {
    if (this.text.get(id) === text) return;
    this.text.set(id, text);
    by(id).textContent = text;
  }

  left(ms) {
    this.#set("clock", clock(ms));
    by("clock").classList.toggle("ending", ms < 5000);
  }

  view(view) {
    this.#teams(view.team_scores);
    if (!this.match.watching) {
      const bar = by("health");
      if (this.text.get("bar") !== view.health) {
        this.text.set("bar", view.health);
        bar.firstElementChild.style.transform = `scaleX(${view.health / 100})`;
        bar.classList.toggle("low", view.health <= 35);
        bar.setAttribute("aria-valuenow", String(view.health));
      }
      this.#set("health-text", view.alive ? String(view.health) : "out");
      const wait = Math.ceil(view.respawn_ticks / 60);
      this.notice(view.alive || this.held ? this.held : wait ? `Back in ${wait} s` : "");
    }
    if (!by("scores").hidden) this.scores();
  }

  /** A few words in the middle, "" for none. */
  notice(text) {
    if (this.text.get("notice") === text) return;
    this.text.set("notice", text);
    by("notice").textContent = text ?? "";
    by("notice").hidden = !text;
  }

  /** A notice that stays until it is taken back with "". */
  hold(text) {
    this.held = text;
    this.notice(text);
  }

  #teams(scores) {
    const key = scores.join();
    if (key === this.teamRow) return;
    this.teamRow = key;
    const own = this.match.people.get(this.match.started.seat)?.team;
    const chips = scores.map((score, team) => {
      const chip = make("span", "", `team-${team % 8}${team === own ? " own" : ""}`);
      const sign = make("b", teamSign(team));
      sign.setAttribute("aria-hidden", "true");
      chip.append(sign, make("span", `${teamName(team)}:`, "unseen"), make("em", String(score)));
      return chip;
    });
    by("teams").replaceChildren(...chips);
  }

  kill(killer, victim, mine) {
    if (!victim) return;
    const line = make("li", "", mine ? "mine" : "");
    const word = (seat) => make("bdi", person(seat).name, `team-${seat.team % 8}`);
    if (killer && killer !== victim) line.append(word(killer), make("span", " → ", "soft"));
    line.append(word(victim));
    by("feed").prepend(line);
    while (by("feed").children.length > FEED_MAX) by("feed").lastChild.remove();
    setTimeout(() => line.remove(), FEED_MS);
    if (mine) this.say(killer?.seat === this.match.started.seat ? `You took out ${person(victim).name}` : `${killer ? person(killer).name : "Somebody"} took you out`);
  }

  toggleScores() {
    const panel = by("scores");
    panel.hidden = !panel.hidden;
    by("show-scores").setAttribute("aria-pressed", String(!panel.hidden));
    if (!panel.hidden) this.scores();
  }

  scores() {
    const rows = this.match.table().map(({ seat, name, note, score }) => {
      const row = make("tr", "", seat.seat === this.match.started.seat ? "own" : "");
      const who = make("td");
      who.append(make("span", `${teamSign(seat.team)} `, `team-${seat.team % 8}`), nameTag(name), make("span", note ? ` ${note}` : "", "soft small"));
      row.append(who, make("td", String(score), "number"));
      return row;
    });
    by("score-rows").replaceChildren(...rows);
  }
}
