// Evidence of repetition: movements of the cursor that were an earlier one of the same player again, as recordings are and hands are not.

import { h, s, setAttribute } from "./dom.js";
import { clock, count, span, when } from "./format.js";
import { drawRepeat, thumbnail } from "./overlay.js";
import { ladder, Scene, thumb, width } from "./scene.js";

const ARCS = 110;
const WEALTH = 96;
const LIKEST = 6;
const HZ = 24; // 16 samples: a movement takes two thirds of a second, about as long as a hand's
const DAY_MS = 86400000;

export class Repeats {
  constructor(clip, atMs) {
    this.clip = clip;
    this.atMs = atMs;
    this.found = clip.repeats.found;
    this.facts = h("dl", { class: "facts" });
    this.alike = h("div", { class: "alike" });
    const { found } = this;
    const drawing = { count: found.length, frames: found[0].again.length / 2, hz: HZ, paint: (context, k, at, wide, high) => drawRepeat(context, found[k], at, wide, high) };
    this.scene = new Scene({
      one: "movement",
      label: "Replay of a movement of the cursor over the earlier one that it was again",
      legend: [["first", "recorded"], ["path", "made again"]],
      drawing,
      say: (k, at, last) => `repeat ${k + 1} of ${found.length}, ${Math.round((100 * at) / last)} % of the movement`,
      caption: (k) => `repeat ${k + 1} of ${found.length} · movement ${found[k].number}`,
      shown: (k) => this.shown(k),
    });
    this.timeline = this.buildTimeline();
    this.side = h("section", { class: "panel", "aria-labelledby": "repeat-title" }, h("h2", { id: "repeat-title", text: "How alike they are" }), this.alike, this.facts);
  }

  // The two that are most alike.
  start() {
    const { found } = this;
    this.scene.seek(found.reduce((best, repeat, k) => (repeat.differ < found[best].differ ? k : best), 0));
  }

  end() {
    this.scene.end();
  }

  shown(k) {
    const repeat = this.found[k];
    this.showAlike(repeat);
    const apart = repeat.first_at_ms === null || repeat.at_ms === null ? null : repeat.at_ms - repeat.first_at_ms;
    const facts = [
      ["recorded", this.time(repeat.first_at_ms, repeat.first_number)],
      ["made again", this.time(repeat.at_ms, repeat.number)],
      ["apart", apart === null ? "not kept" : `${span(apart)}, ${count(repeat.number - repeat.first_number)} movements`],
      ["turned", `by ${Math.round(repeat.turn)}°${repeat.mirrored ? ", mirrored" : ""}`],
      ["odds after it", repeat.power === null ? "?" : `1 in ${count(10 ** Math.max(0, repeat.power))}`],
    ];
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", { text: value })]));
    this.arcs.forEach((arc, at) => arc?.classList.toggle("on", at === k));
    this.dots.forEach((dot, at) => dot.classList.toggle("on", at === k));
    if (this.arcs[k]) this.arcs[k].parentNode.append(this.arcs[k]); // above the others
    setAttribute(this.marker, "x1", this.x(repeat.number));
    setAttribute(this.marker, "x2", this.x(repeat.number));
  }

  time(atMs, number) {
    if (number === null) return "not kept";
    const said = atMs === null ? "" : `${Math.abs(this.atMs - atMs) < DAY_MS / 2 ? clock(atMs) : when(atMs)} · `;
    return `${said}movement ${count(number)}`;
  }

  // From the very same, at the left, to what the rule still takes for the same, at the right.
  showAlike({ differ, likeness }) {
    const { limit } = this.clip.repeats;
    const words = `They differ by ${(100 * differ).toFixed(2)} % of their size.`;
    const bar = h("span", { class: "alike-mark", "aria-hidden": "true" });
    bar.style.insetInlineStart = `${100 * Math.min(1, (likeness ?? limit) / limit)}%`;
    this.alike.replaceChildren(
      h("p", { class: "alike-words", text: words }),
      h("div", { class: "alike-track" }, bar),
      h("div", { class: "row small soft alike-ends" }, h("span", { class: "grow", text: "the very same" }), h("span", { text: "the rule's bound" })),
      h("p", { class: "small soft", text: `Weighed against how plain the movement is: ${likeness === null ? "?" : likeness.toFixed(4)}; the rule takes less than ${limit} for the same.` }),
    );
  }

  // Which movement was which one again, as arcs, and below them how the wealth of evidence grew.
  buildTimeline() {
    const { clip, found } = this;
    const { total, alike, kept, one_in: oneIn } = clip.repeats;
    const wide = width();
    const from = Math.min(...found.map((repeat) => repeat.first_number ?? repeat.number)) - 1;
    const to = found.at(-1).number;
    this.x = (number) => (((number - from) * (wide - 8)) / Math.max(1, to - from)).toFixed(1);
    const longest = Math.max(1, ...found.map((repeat) => repeat.number - (repeat.first_number ?? repeat.number)));
    const click = (k) => ({ click: () => this.scene.seek(k) });
    this.arcs = found.map((repeat, k) => {
      if (repeat.first_number === null) return null;
      const [x1, x2] = [Number(this.x(repeat.first_number)), Number(this.x(repeat.number))];
      const up = 8 + (ARCS - 14) * Math.sqrt((repeat.number - repeat.first_number) / longest);
      const title = s("title", { text: `movement ${repeat.number} was movement ${repeat.first_number} again; they differ by ${(100 * repeat.differ).toFixed(2)} %` });
      return s("path", { class: "arc", d: `M${x1} ${ARCS}C${x1} ${(ARCS - up * 1.3).toFixed(1)} ${x2} ${(ARCS - up * 1.3).toFixed(1)} ${x2} ${ARCS}`, on: click(k) }, title);
    });
    this.dots = found.map((repeat, k) => s("circle", { class: "again", cx: this.x(repeat.number), cy: ARCS, r: 3.5, on: click(k) }));
    const top = ARCS + 30;
    const powers = found.map((repeat) => Math.max(0, repeat.power ?? 0));
    const high = Math.max(5, ...powers);
    const y = (power) => (top + WEALTH - (WEALTH * power) / high).toFixed(1);
    const points = found.map((repeat, k) => `${this.x(repeat.number)},${y(powers[k])}`);
    this.marker = s("line", { class: "marker", y1: 0, y2: top + WEALTH, x1: -9, x2: -9 });
    const likest = found
      .map((repeat, k) => [repeat, k])
      .sort((a, b) => a[0].differ - b[0].differ)
      .slice(0, LIKEST);
    return h(
      "section",
      { class: "panel timeline", "aria-labelledby": "timeline-title" },
      h("h2", { id: "timeline-title", text: "Over time" }),
      h("div", { class: "thumbs" }, ...likest.map(([repeat, k]) => thumb((canvas) => thumbnail(canvas, repeat), `repeat ${k + 1}: `, `${repeat.number} · differ ${(100 * repeat.differ).toFixed(2)} %`, () => this.scene.play(k)))),
      h("p", { class: "small soft", text: `${count(alike)} of ${count(total)} movements were one of the ${kept} before again; of people's, at most 1 in ${count(oneIn)} is. Above: which was which. Below: the odds that an honest career ever looks like this.` }),
      s(
        "svg",
        { viewBox: `0 -4 ${wide} ${top + WEALTH + 8}`, role: "img", class: "scores", "aria-label": `${found.length} movements that were an earlier one again, movements ${from + 1} to ${to}; the wealth ends at ten to the power of ${powers.at(-1).toFixed(1)}` },
        s("line", { class: "base", x1: 0, x2: wide, y1: ARCS, y2: ARCS }),
        s("g", {}, ...this.arcs),
        ...this.dots,
        ...ladder(clip.levels, wide, y),
        s("polyline", { class: "wealth", points: points.join(" ") }),
        this.marker,
      ),
    );
  }
}
