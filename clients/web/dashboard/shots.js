// Evidence of aim: the shots that were looked at, one by one, what each looks like, and how the wealth grew over them.

import { drawShot, HZ, thumbnail } from "./aim.js";
import { h, s, setAttribute } from "./dom.js";
import { ms } from "./format.js";
import { ladder, Scene, thumb, width } from "./scene.js";

const SCORES = 96;
const WEALTH = 96;
const LOUDEST = 6;

export class Shots {
  constructor(clip) {
    this.clip = clip;
    this.shots = clip.blocks.flatMap((block, k) => block.shots.map((shot) => ({ ...shot, block: k })));
    this.facts = h("dl", { class: "facts" });
    this.shares = h("ul", { class: "shares plain" });
    const { shots } = this;
    const drawing = { count: shots.length, frames: shots[0].line.length, hz: HZ, paint: (context, k, at, wide, high) => drawShot(context, shots[k], clip.radius, at, wide, high) };
    this.scene = new Scene({
      one: "shot",
      label: "Replay of the cursor around the target",
      legend: [["path", "cursor"], ["line", "line of fire"], ["target", "target"]],
      drawing,
      say: (k, at, last) => `shot ${k + 1} of ${shots.length}, ${Math.round(((last - at) * 1000) / HZ)} ms before it left`,
      caption: (k) => `shot ${k + 1} of ${shots.length} · tick ${shots[k].tick}`,
      shown: (k) => this.shown(k),
    });
    this.timeline = this.buildTimeline();
    this.side = h("section", { class: "panel", "aria-labelledby": "shot-title" }, h("h2", { id: "shot-title", text: "This shot looks like" }), this.shares, this.facts);
  }

  // The one that speaks loudest.
  start() {
    this.scene.seek(this.shots.reduce((best, shot, k) => ((shot.score ?? -99) > (this.shots[best].score ?? -99) ? k : best), 0));
  }

  end() {
    this.scene.end();
  }

  shown(k) {
    this.showFacts(this.shots[k]);
    const left = (this.wide * (k + 0.5)) / this.shots.length;
    setAttribute(this.marker, "x1", left);
    setAttribute(this.marker, "x2", left);
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
    const classes = this.clip.classes;
    this.shares.replaceChildren(
      ...classes.map((name, k) => {
        const bar = h("span", { class: `share-bar ${k ? "machine" : "human"}` });
        bar.style.inlineSize = `${100 * (shot.shares[k] ?? 0)}%`;
        return h("li", {}, h("span", { text: name }), h("span", { class: "share-track" }, bar), h("span", { class: "number", text: `${Math.round(100 * (shot.shares[k] ?? 0))} %` }));
      }),
    );
  }

  // Scores of all shots as bars, and below them how the wealth of evidence grew, block by block.
  buildTimeline() {
    const { clip } = this;
    const wide = width();
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
        { class: `score ${kind}`, x: (k * step + step * 0.12).toFixed(1), width: Math.max(1, step * 0.76).toFixed(1), y: (scores[k] > 0 ? middle - high : middle).toFixed(1), height: Math.max(1, high).toFixed(1), on: { click: () => this.scene.seek(k) } },
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
    this.marker = s("line", { class: "marker", y1: 0, y2: top + WEALTH, x1: -9, x2: -9 });
    const loudest = this.shots
      .map((shot, k) => [shot, k])
      .sort((a, b) => (b[0].score ?? -99) - (a[0].score ?? -99))
      .slice(0, LOUDEST);
    const thumbs = loudest.map(([shot, k]) => thumb((canvas) => thumbnail(canvas, shot, clip.radius), "", `shot ${k + 1} · ${(shot.score ?? 0).toFixed(1)}`, () => this.scene.play(k)));
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
        ...ladder(clip.levels, wide, y),
        s("polyline", { class: "wealth", points: points.join(" ") }),
        this.marker,
      ),
    );
  }
}
