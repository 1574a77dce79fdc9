// The stage of a clip: a canvas that is played, and what plays it: buttons, a slider, keys. What is drawn, shots or movements, is the
// caller's.

import { h, s, setAttribute, setText } from "./dom.js";
import { Replay } from "./replay.js";

const STEPS = 32; // of the slider, an item

export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Scene {
  // one: "shot"; label: of the canvas; legend: elements; drawing: see Replay; say(item, at, last): in words, for the slider;
  // caption(item): below the canvas; shown(item): hears of each other item.
  constructor({ one, label, legend, drawing, say, caption, shown }) {
    Object.assign(this, { drawing, say, caption, shown });
    const canvas = h("canvas", { class: "replay", role: "img", "aria-label": label });
    this.words = h("p", { class: "small soft", "aria-live": "off" });
    this.button = h("button", { type: "button", class: "primary", text: "Play", id: "replay-play", on: { click: () => this.toggle() } });
    this.slider = h("input", { type: "range", min: 0, max: drawing.count * STEPS - 1, value: 0, "aria-label": "Place in the clip", class: "grow", on: { input: () => this.slid() } });
    const speed = h(
      "select",
      { "aria-label": "Speed", on: { change: () => (this.replay.speed = Number(speed.value)) } },
      ...[[0.1, "slow ×0.1"], [0.25, "×0.25"], [0.5, "×0.5"], [1, "real time"]].map(([value, text]) => h("option", { value, text, selected: value === 0.5 })),
    );
    const go = (by) => () => this.replay.seek(this.replay.item + by);
    this.element = h(
      "section",
      { class: "panel scene", "aria-label": "Replay", tabindex: -1 },
      h("div", { class: "stage" }, canvas),
      h("div", { class: "row legend small" }, ...legend.map(([kind, text]) => h("span", { class: `key ${kind}`, "aria-hidden": "true", text })), this.words),
      h(
        "div",
        { class: "row wrap transport" },
        h("button", { type: "button", "aria-label": `${one[0].toUpperCase()}${one.slice(1)} before`, text: "‹", on: { click: go(-1) } }),
        this.button,
        h("button", { type: "button", "aria-label": `Next ${one}`, text: "›", on: { click: go(1) } }),
        this.slider,
        speed,
      ),
    );
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.replay = new Replay(canvas, drawing, () => this.moved());
  }

  end() {
    this.replay.end();
  }

  seek(item) {
    this.replay.seek(item);
  }

  // From its beginning, where movement is welcome.
  play(item) {
    this.replay.seek(item, calm() ? this.replay.last : 0);
    if (!calm()) this.replay.play();
    this.element.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.target.matches("input, select, button") && event.key !== "Escape") return;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowRight") this.replay.seek(this.replay.item + 1);
    else if (event.key === "ArrowLeft") this.replay.seek(this.replay.item - 1);
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
    const { item, at, last, playing } = this.replay;
    setText(this.button, playing ? "Pause" : "Play");
    this.slider.value = item * STEPS + (last ? Math.round((at / last) * (STEPS - 1)) : 0);
    setAttribute(this.slider, "aria-valuetext", this.say(item, at, last));
    setText(this.words, this.caption(item));
    if (this.item === item) return;
    this.item = item;
    this.shown(item);
  }
}

// A button with a small picture, which plays an item.
export function thumb(paint, name, text, click) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  requestAnimationFrame(() => paint(canvas));
  return h("button", { type: "button", class: "thumb", on: { click } }, canvas, h("span", { class: "unseen", text: `Replay ${name}` }), h("span", { class: "small", text }));
}

// The ladder as lines over `wide`, y(power) high, each with its odds.
export function ladder(levels, wide, y) {
  return Object.entries(levels).flatMap(([name, power], k) => [
    s("line", { class: `level ${name}`, x1: 0, x2: wide, y1: y(power), y2: y(power) }),
    s("text", { class: "label", x: 4 + 110 * k, y: y(power) - 4, text: `${name}: 1 in ${Math.round(10 ** power).toLocaleString("en")}` }),
  ]);
}

// Pictures over time are as wide as this, in their own units: letters stay legible on a phone.
export const width = () => (window.innerWidth < 700 ? 420 : 900);
