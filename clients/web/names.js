/** Names as people read them. Names are other people's text: they only ever reach the page as text. */

const NPC = /^npc-(\d+)(?: ([a-z0-9_-]{1,32}) L(\d{1,2}))?$/;
const SIGNS = ["●", "▲", "■", "◆", "✚", "★", "⬟", "✖"]; // of teams, so that colour is never the only sign
const TEAMS = ["Sky", "Orange", "Green", "Pink", "Yellow", "Indigo", "Vermilion", "White"];

/** A roster's seat: `{name, note, npc}`; the note of an NPC says how it plays and at which level. */
export function person(seat) {
  const found = seat.npc ? NPC.exec(seat.name) : null;
  if (!found) return { name: seat.name || `seat ${seat.seat}`, note: seat.npc ? "NPC" : "", npc: seat.npc };
  const style = found[2] ? found[2][0].toUpperCase() + found[2].slice(1).replaceAll("_", " ") : "NPC";
  return { name: `${style} ${found[1]}`, note: found[3] ? `NPC · level ${found[3]}` : "NPC", level: found[3], npc: true };
}

export const teamSign = (team) => SIGNS[team % SIGNS.length];
export const teamName = (team) => TEAMS[team % TEAMS.length];

/** An element with text and classes; the only way that this client puts words on the page. */
export function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Somebody's name, kept to its line and its direction. */
export function nameTag(text, className = "") {
  const tag = make("bdi", text, `name ${className}`);
  tag.title = text;
  return tag;
}

export function clock(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
