// Small pictures of numbers: histograms and lines, SVG.

import { h, s, setAttribute, setText } from "./dom.js";
import { bound, count, ms, quantile } from "./format.js";

const HIGH = 60;
const WIDE = 190;

// title, unit ("ms" or a word), good: a bound above which bars are a warning.
export class Histogram {
  constructor(title, unit, hint, good = Infinity) {
    this.unit = unit;
    this.good = good;
    this.figures = h("span", { class: "figures" });
    this.picture = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH + 16}`, role: "img", "aria-label": title, class: "histogram" });
    this.element = h("figure", { class: "chart" }, h("figcaption", { title: hint }, h("span", { text: title }), this.figures), this.picture);
    this.bars = [];
  }

  show(counts, bounds) {
    const say = this.unit === "ms" ? ms : (value) => count(Math.round(value));
    const total = (counts ?? []).reduce((sum, n) => sum + n, 0);
    if (!total) {
      setText(this.figures, "nothing yet");
      for (const bar of this.bars) setAttribute(bar, "height", 0);
      return;
    }
    if (this.bars.length !== counts.length) this.build(bounds);
    const most = Math.max(...counts);
    counts.forEach((n, k) => {
      const high = n ? Math.max(2, (HIGH * Math.sqrt(n)) / Math.sqrt(most)) : 0;
      setAttribute(this.bars[k], "height", high.toFixed(1));
      setAttribute(this.bars[k], "y", (HIGH - high).toFixed(1));
      setText(this.bars[k].firstChild, `${k < bounds.length ? "up to " + bounds[k] : "more than " + bounds[bounds.length - 1]} ${this.unit}: ${count(n)}`);
    });
    const [p50, p99] = [quantile(counts, bounds, 0.5), quantile(counts, bounds, 0.99)];
    const most99 = p99 === bounds[bounds.length - 1] ? ">" : "";
    setText(this.figures, `p50 ${say(p50)} · p99 ${most99}${say(p99)}`);
    setAttribute(this.picture, "aria-label", `${this.element.querySelector("figcaption span").textContent}: p50 ${say(p50)}, p99 ${say(p99)}`);
  }

  build(bounds) {
    const step = WIDE / (bounds.length + 1);
    this.bars = [...bounds, Infinity].map((high, k) => {
      const warn = high > this.good ? " warn" : "";
      return s("rect", { class: `bar${warn}`, x: (k * step + 1).toFixed(1), width: (step - 2).toFixed(1), y: HIGH, height: 0, rx: 2 }, s("title"));
    });
    const every = bounds.length > 9 ? 2 : 1;
    const labels = bounds.map((value, k) =>
      k % every ? null : s("text", { class: "label", x: ((k + 1) * step).toFixed(1), y: HIGH + 13, "text-anchor": "middle", text: bound(value) }),
    );
    this.picture.replaceChildren(s("line", { class: "base", x1: 0, x2: WIDE, y1: HIGH + 0.5, y2: HIGH + 0.5 }), ...this.bars, ...labels.filter(Boolean));
  }
}

export const HISTOGRAMS = [
  ["tick_lateness_ms", "Ticks late", "ms", "How late a tick began; p99 stays under 10 ms", 10],
  ["tick_ms", "Tick duration", "ms", "A whole tick; above 16.7 ms a process cannot keep up", 16],
  ["inference_ms", "Inference", "ms", "One batch of the NPC model; inline while under 1 ms", 2],
  ["inference_batch_rows", "Batch size", "rows", "Entities answered by one batch", Infinity],
  ["queue_wait_ms", "Queue wait", "ms", "From the ticket to the match", 8000],
  ["rtt_ms", "Round trip", "ms", "To players, from pings", 160],
];

// All six, for the world or for one region.
export class Histograms {
  constructor() {
    this.charts = HISTOGRAMS.map(([name, title, unit, hint, good]) => [name, new Histogram(title, unit, hint, good)]);
    this.element = h("div", { class: "charts" }, ...this.charts.map(([, chart]) => chart.element));
  }

  show(histograms, bounds) {
    for (const [name, chart] of this.charts) if (bounds[name]) chart.show(histograms[name], bounds[name]);
  }
}

// The last values as a line; nothing to read off, only which way it goes.
export function sparkline(picture, values) {
  const [wide, high] = [100, 24];
  if (values.length < 2) return;
  const most = Math.max(...values, 1);
  const least = Math.min(...values, most);
  const range = Math.max(most - least, most * 0.1, 1);
  const at = (value, k) => `${((wide * k) / (values.length - 1)).toFixed(1)},${(high - 2 - ((high - 4) * (value - least)) / range).toFixed(1)}`;
  const points = values.map(at).join(" ");
  if (!picture.firstChild) picture.append(s("polyline", { class: "spark" }));
  setAttribute(picture.firstChild, "points", points);
}

// Counts by name as bars, the largest first.
export function shares(element, counts, most = 12) {
  const entries = Object.entries(counts ?? {})
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, most);
  const total = entries.reduce((sum, [, n]) => sum + n, 0) || 1;
  element.replaceChildren(
    ...entries.map(([name, n]) => {
      const bar = h("span", { class: "share-bar", "aria-hidden": "true" });
      bar.style.inlineSize = `${(100 * n) / total}%`;
      return h("li", {}, h("span", { class: "name", text: name }), h("span", { class: "share-track" }, bar), h("span", { class: "number", text: count(n) }));
    }),
  );
  if (!entries.length) element.append(h("li", { class: "soft", text: "none" }));
}
