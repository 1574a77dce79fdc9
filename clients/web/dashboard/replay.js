// A clip is played on a plain 2D canvas: which of its items (shots, movements) is shown, and how far it has come.

const HOLD_MS = 450; // after an item, before the next

export class Replay {
  // count: of items, `frames` samples each, `hz` a second; paint(context, item, at, wide, high) draws one at a frame (with parts).
  // `moved` hears of every change.
  constructor(canvas, { count, frames, hz, paint }, moved) {
    this.canvas = canvas;
    this.count = count;
    this.frames = frames;
    this.hz = hz;
    this.paint = paint;
    this.moved = moved;
    this.item = 0;
    this.at = this.last;
    this.speed = 0.5;
    this.playing = false;
    this.before = 0;
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
  }

  end() {
    this.pause();
    this.observer.disconnect();
  }

  get last() {
    return this.frames - 1;
  }

  seek(item, at = this.last) {
    this.item = Math.min(Math.max(item, 0), this.count - 1);
    this.at = Math.min(Math.max(at, 0), this.last);
    this.held = 0;
    this.draw();
    this.moved(this);
  }

  play() {
    if (this.playing) return;
    if (this.at >= this.last) this.seek(this.item === this.count - 1 ? 0 : this.item, 0);
    this.playing = true;
    this.before = 0;
    this.held = 0;
    this.request = requestAnimationFrame((now) => this.step(now));
    this.moved(this);
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.request);
    this.moved(this);
  }

  step(now) {
    if (!this.playing) return;
    const passed = this.before ? Math.min(now - this.before, 100) * this.speed : 0;
    this.before = now;
    if (this.at < this.last) this.at = Math.min(this.last, this.at + (passed * this.hz) / 1000);
    else if (this.held < HOLD_MS) this.held += passed;
    else if (this.item + 1 < this.count) {
      this.item += 1;
      this.at = 0;
      this.held = 0;
    } else {
      this.pause();
      return;
    }
    if (this.at < this.last) this.held = 0;
    this.draw();
    this.moved(this);
    this.request = requestAnimationFrame((then) => this.step(then));
  }

  draw() {
    const { context, wide, high } = prepare(this.canvas);
    if (wide) this.paint(context, this.item, this.at, wide, high);
  }
}

// An empty canvas as large as it is shown, in its CSS pixels.
export function prepare(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth: wide, clientHeight: high } = canvas;
  if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, wide, high);
  return { context, wide, high };
}

// The place at frame `at` (with parts) of places, null where neither neighbour is known.
export function between(points, at) {
  const k = Math.min(Math.floor(at), points.length - 1);
  const [a, b] = [points[k], points[Math.min(k + 1, points.length - 1)]];
  if (!a || !b) return a ?? b;
  return [a[0] + (b[0] - a[0]) * (at - k), a[1] + (b[1] - a[1]) * (at - k)];
}

export function circle(context, px, py, radius) {
  context.beginPath();
  context.arc(px, py, radius, 0, 2 * Math.PI);
}

export function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
