/** Short-lived things on the screen: shots, sparks, numbers, rings. Time in ms, places in world units. */

const LIFE_MS = { shot: 130, spark: 260, number: 700, ring: 480 };
const KEPT = 160;

export class Effects {
  constructor(reduced) {
    this.reduced = reduced; // people who asked for less motion get no sparks and no shaking
    this.list = [];
    this.hurtMs = -1e9;
  }

  reset() {
    this.list = [];
    this.hurtMs = -1e9;
  }

  add(kind, nowMs, data) {
    if (this.reduced && kind === "spark") return;
    this.list.push({ kind, from: nowMs, ...data });
    if (this.list.length > KEPT) this.list.shift();
  }

  burst(nowMs, x, y, color, count) {
    for (let i = 0; i < count; i++) {
      const angle = Math.random() * Math.PI * 2;
      const speed = 2 + Math.random() * 7;
      this.add("spark", nowMs, { x, y, vx: Math.cos(angle) * speed, vy: Math.sin(angle) * speed, color });
    }
    this.add("ring", nowMs, { x, y, color });
  }

  draw(g, nowMs, unit) {
    this.list = this.list.filter((effect) => nowMs - effect.from < LIFE_MS[effect.kind]);
    for (const effect of this.list) {
      const part = Math.max(0, (nowMs - effect.from) / LIFE_MS[effect.kind]);
      g.globalAlpha = 1 - part;
      this[effect.kind](g, effect, part, unit);
    }
    g.globalAlpha = 1;
  }

  shot(g, { x, y, x1, y1, color }, part) {
    g.lineCap = "round";
    g.strokeStyle = color;
    g.lineWidth = 0.3 * (1 - part);
    g.globalAlpha *= 0.35;
    line(g, x, y, x1, y1);
    g.globalAlpha /= 0.35;
    g.strokeStyle = "#ffffff";
    g.lineWidth = 0.09;
    line(g, x, y, x1, y1);
  }

  spark(g, { x, y, vx, vy, color }, part) {
    const s = part * LIFE_MS.spark * 0.001;
    g.fillStyle = color;
    g.beginPath();
    g.arc(x + vx * s, y + vy * s, 0.12 * (1 - part), 0, 7);
    g.fill();
  }

  ring(g, { x, y, color }, part) {
    g.strokeStyle = color;
    g.lineWidth = 0.18 * (1 - part);
    g.beginPath();
    g.arc(x, y, 0.5 + part * 1.6, 0, 7);
    g.stroke();
  }

  number(g, { x, y, text, color }, part, unit) {
    g.save();
    g.translate(x, y + 1.7 + (this.reduced ? 0 : part * 0.9));
    g.scale(1 / unit, -1 / unit);
    g.font = "700 15px system-ui, sans-serif";
    g.textAlign = "center";
    g.lineWidth = 3;
    g.strokeStyle = "#070a0f";
    g.strokeText(text, 0, 0);
    g.fillStyle = color;
    g.fillText(text, 0, 0);
    g.restore();
  }
}

function line(g, x, y, x1, y1) {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x1, y1);
  g.stroke();
}
