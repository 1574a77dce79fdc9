/** The screens around a match as elements: modes, regions, matches, the queue, a result. Texts of others only as text. */

import { clock, make, nameTag, person, teamName, teamSign } from "./names.js";

const by = (id) => document.getElementById(id);
const MODES = [
  { name: "ffa", title: "Free for all", teams: 8, team_size: 1 },
  { name: "duel", title: "Duel", teams: 2, team_size: 1 },
  { name: "squads", title: "Squads 5v5", teams: 2, team_size: 5 },
  { name: "coop", title: "Last stand", teams: 1, team_size: 4 },
];

export const modeTitle = (name, known = MODES) => known.find((mode) => mode.name === name)?.title ?? name;

function seats(mode) {
  if (mode.teams === 1) return `${mode.team_size} together against waves`;
  return mode.team_size === 1 ? `${mode.teams} players, each alone` : `${mode.teams} teams of ${mode.team_size}`;
}

export function showModes(chosen, modes = MODES) {
  const picked = modes.some((mode) => mode.name === chosen) ? chosen : modes[0].name;
  const options = modes.map((mode) => {
    const label = make("label", "", "mode");
    const input = make("input");
    Object.assign(input, { type: "radio", name: "mode", value: mode.name, checked: mode.name === picked });
    label.append(input, make("b", mode.title), make("span", seats(mode), "soft"));
    return label;
  });
  by("modes").replaceChildren(by("modes").firstElementChild, ...options);
}

export function showRegions(list, samples, failed) {
  const medians = new Map(Object.entries(samples).filter(([, s]) => s.length).map(([region, s]) => [region, median(s)]));
  const best = Math.min(Infinity, ...medians.values());
  const far = Math.max(60, ...medians.values());
  const rows = list.map((region) => {
    const ms = medians.get(region.region);
    const row = make("li", "", `region${ms !== undefined && ms === best ? " best" : ""}`);
    row.dataset.region = region.region;
    const title = make("div", "", "grow");
    title.append(nameTag(region.title || region.region), make("span", ms === best ? "nearest" : region.region, "soft small"));
    title.firstElementChild.style.display = "block";
    const words = ms !== undefined ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : (failed.get(region.region) ?? "measuring");
    const way = make("div", "", "way");
    const bar = make("i");
    bar.style.setProperty("--part", ms === undefined ? "0%" : `${Math.max(3, (ms / far) * 100)}%`);
    way.append(bar);
    row.append(title, make("b", words, ms === undefined ? "soft" : ms === best ? "good" : ""), way);
    return row;
  });
  if (!rows.length) rows.push(make("li", "No region is there at the moment. This page keeps looking.", "soft"));
  by("regions").replaceChildren(...rows);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** Matches that can be watched, as buttons; `watch(match)` when one is chosen. Focus stays where it was. */
export function showMatches(id, list, watch, modes) {
  const focused = document.activeElement?.dataset?.match;
  const rows = list.map((match) => {
    const row = make("li");
    const button = make("button");
    button.type = "button";
    button.dataset.match = match.match;
    button.append(make("b", modeTitle(match.mode, modes)), make("span", clock(match.remaining_ms)));
    const people = match.people === 1 ? "1 player" : `${match.people} players`;
    button.append(make("span", `${people}, ${match.seats - match.people} NPCs · ${match.region}`, "soft small"));
    button.append(make("span", standing(match.scores ?? []), "soft small"));
    button.addEventListener("click", () => watch(match));
    row.append(button);
    return row;
  });
  if (!rows.length) rows.push(make("li", "Nobody plays at the moment.", "soft"));
  by(id).replaceChildren(...rows);
  if (focused) by(id).querySelector(`[data-match="${CSS.escape(focused)}"]`)?.focus();
}

const standing = (scores) => (scores.length <= 2 ? scores.join(" : ") : `best ${Math.max(...scores)}`);
const seconds = (ms) => (ms < 1000 ? "< 1 s" : `${Math.round(ms / 1000)} s`);

/** The queue as a server tells it. */
export function showQueue(status, mode) {
  const facts = [
    ["Mode", mode],
    ["Waited", seconds(status?.waited_ms ?? 0)],
    ["Likely still", status?.eta_ms === undefined || status.eta_ms === null ? "–" : seconds(status.eta_ms)],
    ["In this queue", String(status?.pool ?? 1)],
  ];
  const rows = facts.map(([name, value]) => {
    const box = make("div");
    box.append(make("dt", name), make("dd", value));
    return box;
  });
  by("queue-facts").replaceChildren(...rows);
}

export function showWhy(status, explained) {
  const words = whyWords(explained);
  if (!words.length) {
    const pool = status?.pool ?? 1;
    words.push(pool > 1 ? `${pool} players wait in this queue; the matcher looks for the fairest teams among them.` : "You are alone in this queue.");
    words.push("Seats that nobody takes in time are given to NPCs of your level, so that nobody waits for long.");
    if (status?.eta_ms === undefined || status?.eta_ms === null) words.push("Nobody has been matched here lately, so there is no estimate yet.");
  }
  by("queue-why").replaceChildren(...words.slice(0, 6).map((text) => make("li", text)));
}

/** An `explained` message as sentences, none where there was no answer yet. Its words are a server's, its numbers are checked. */
export function whyWords(explained) {
  if (typeof explained?.text !== "string" || !explained.text) return [];
  const number = (value) => (Number.isFinite(value) ? value : 0);
  const words = [explained.text.slice(0, 256)];
  const [others, fits, needed] = [number(explained.others), number(explained.fits), number(explained.needed)];
  if (others) words.push(`${others === 1 ? "One other waits" : `${others} others wait`}; ${fits} of them fit now, ${needed} more are needed.`);
  for (const rule of (Array.isArray(explained.rules) ? explained.rules : []).slice(0, 3)) {
    const later = Number.isFinite(rule.next_ms) ? ` and lets in more in ${seconds(rule.next_ms)}` : "";
    words.push(`The rule “${String(rule.rule).slice(0, 64)}” keeps ${number(rule.excludes)} of them apart from you${later}.`);
  }
  if (explained.state === "alone" || explained.state === "widening") words.push("Where a region fills up with NPCs, seats that nobody takes in time go to them.");
  return words;
}

const BASIS = { measured: "your measurement", learned: "players near you", distance: "distance" };

export function showPlacement(placement, list) {
  const rows = Object.entries(placement.why ?? {})
    .sort(([, a], [, b]) => (a.total_ms ?? 1e9) - (b.total_ms ?? 1e9))
    .slice(0, 12)
    .map(([region, why]) => {
      const row = make("tr", "", region === placement.region ? "own" : "");
      const title = make("td");
      title.append(nameTag(list.find((r) => r.region === region)?.title || region));
      if (region === placement.region) title.append(make("span", " ✓ chosen", "good small"));
      const ms = (value) => make("td", Number.isFinite(value) ? `${value.toFixed(1)} ms` : "–", "number");
      const basis = make("td", [why.excluded, why.doubtful, BASIS[why.basis] ?? why.basis].filter(Boolean).join("; ").slice(0, 120));
      row.append(title, ms(why.rtt_ms), ms(why.total_ms - why.rtt_ms), ms(why.total_ms), basis);
      return row;
    });
  by("placement-rows").replaceChildren(...rows);
}

export function showResult(ended, match) {
  const own = match.people.get(match.started.seat);
  const rank = own ? ended.ranks[own.team] : undefined;
  const scores = ended.seat_scores ?? [];
  const order = [...match.people.values()].sort(
    (a, b) => (ended.ranks[a.team] ?? 99) - (ended.ranks[b.team] ?? 99) || (scores[b.seat] ?? 0) - (scores[a.seat] ?? 0),
  );
  const titles = { survived: "You held the line", overrun: "Overrun", abandoned: "The match was given up", stopped: "An operator ended the match" };
  by("result-title").textContent = titles[ended.reason] ?? (rank === 0 ? "Victory" : rank === undefined ? "The match is over" : `Place ${rank + 1} of ${ended.ranks.length}`);
  by("result-line").textContent = own ? `You played for ${teamName(own.team)} ${teamSign(own.team)} and scored ${scores[own.seat] ?? 0}.` : "";
  const rows = order.map((seat) => {
    const { name, note, npc } = person(seat);
    const row = make("tr", "", seat === own ? "own" : "");
    const who = make("td");
    who.append(make("span", `${teamSign(seat.team)} `, `team-${seat.team % 8}`), nameTag(name));
    row.append(make("td", String((ended.ranks[seat.team] ?? 0) + 1)), who, make("td", npc ? note : seat === own ? "you" : "a player", "soft"), make("td", String(scores[seat.seat] ?? "–"), "number"));
    return row;
  });
  by("result-rows").replaceChildren(...rows);
}
