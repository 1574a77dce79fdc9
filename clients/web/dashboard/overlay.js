// A movement of the cursor and the earlier one that it was again, laid over each other on a canvas: the recorded one broad, as it was
// turned onto the other, and the other thin upon it; in the corners each as it was made; below, how fast both went, moment by moment.

import { between, circle, line, prepare } from "./replay.js";

const COLOURS = { first: "#ffb454", again: "#4cc2ff", text: "#a9b7ca", rule: "#2b3a4f", strong: "#e8eef7" };
const FONT = "px system-ui, sans-serif";

export function drawRepeat(context, repeat, at, wide, high) {
  const strip = Math.min(110, high * 0.28);
  const inset = Math.min(120, wide * 0.24, (high - strip) * 0.4);
  const [first, again] = [pairs(repeat.first), pairs(repeat.again)];
  drawGrid(context, wide, high - strip);
  drawPaths(context, first, again, { left: inset * 0.5, top: 18, wide: wide - inset, high: high - strip - 36 }, at);
  drawInset(context, asMade(first, repeat.turn, repeat.mirrored), COLOURS.first, "as recorded", 8, 8, inset);
  drawInset(context, again, COLOURS.again, "as made again", wide - inset - 8, 8, inset);
  drawSpeeds(context, first, again, 0, high - strip, wide, strip, at);
}

export function thumbnail(canvas, repeat) {
  const { context, wide, high } = prepare(canvas);
  const [first, again] = [pairs(repeat.first), pairs(repeat.again)];
  if (wide) drawPaths(context, first, again, { left: 6, top: 6, wide: wide - 12, high: high - 12 }, again.length - 1, true);
}

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, k) => [flat[2 * k], flat[2 * k + 1]]);

// Turned back by `turn` degrees, and mirrored back at the x axis.
function asMade(points, turn, mirrored) {
  const [cos, sin] = [Math.cos((turn * Math.PI) / 180), Math.sin((turn * Math.PI) / 180)];
  return points.map(([x, y]) => [x * cos + y * sin, (mirrored ? -1 : 1) * (y * cos - x * sin)]);
}

// Places on the screen, both in the same scale, in the middle of a box.
function fit(all, box) {
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min(box.wide / Math.max(right - left, 1e-6), box.high / Math.max(high - low, 1e-6));
  const [cx, cy] = [box.left + box.wide / 2, box.top + box.high / 2];
  return ([x, y]) => [cx + (x - (left + right) / 2) * scale, cy - (y - (low + high) / 2) * scale];
}

function drawGrid(context, wide, high) {
  context.fillStyle = COLOURS.rule;
  for (let x = (wide % 32) / 2; x < wide; x += 32) for (let y = (high % 32) / 2; y < high; y += 32) context.fillRect(x, y, 1, 1);
}

function drawPaths(context, first, again, box, at, small = false) {
  const place = fit([...first, ...again], box);
  const [recorded, made] = [first.map(place), again.map(place)];
  context.lineCap = context.lineJoin = "round";
  trace(context, recorded, recorded.length - 1);
  context.strokeStyle = COLOURS.first;
  context.globalAlpha = 0.38;
  context.lineWidth = small ? 7 : 16;
  context.stroke();
  context.globalAlpha = 1;
  trace(context, made, at);
  context.strokeStyle = COLOURS.again;
  context.lineWidth = small ? 1.5 : 2.5;
  context.stroke();
  if (small) return;
  for (let k = 0; k < made.length; k += 1) {
    context.strokeStyle = COLOURS.first;
    context.lineWidth = 1.5;
    circle(context, ...recorded[k], 5);
    context.stroke();
    if (k > at) continue;
    context.fillStyle = COLOURS.again;
    circle(context, ...made[k], 2.8);
    context.fill();
  }
  context.fillStyle = COLOURS.text;
  context.font = `12${FONT}`;
  context.textAlign = recorded[0][0] < recorded.at(-1)[0] ? "right" : "left";
  context.fillText("begins", recorded[0][0] + (context.textAlign === "right" ? -14 : 14), recorded[0][1] + 4);
  context.textAlign = "left";
  context.strokeStyle = COLOURS.strong;
  context.lineWidth = 2;
  circle(context, ...between(made, at), 9);
  context.stroke();
}

// The path up to a moment, with a part of the way to the next place.
function trace(context, points, at) {
  context.beginPath();
  points.slice(0, Math.floor(at) + 1).forEach((point, k) => (k ? context.lineTo(...point) : context.moveTo(...point)));
  context.lineTo(...between(points, at));
}

function drawInset(context, points, colour, text, left, top, size) {
  context.fillStyle = "rgb(18 25 36 / 82%)";
  context.strokeStyle = COLOURS.rule;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left + 0.5, top + 0.5, size, size, 8);
  context.fill();
  context.stroke();
  const made = points.map(fit(points, { left: left + 12, top: top + 10, wide: size - 24, high: size - 40 }));
  trace(context, made, made.length - 1);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.stroke();
  context.fillStyle = colour;
  circle(context, ...made[0], 3);
  context.fill();
  context.fillStyle = COLOURS.text;
  context.font = `${size < 100 ? 10 : 11}${FONT}`;
  context.textAlign = "center";
  context.fillText(text, left + size / 2, top + size - 9, size - 8);
  context.textAlign = "left";
}

const speeds = (points) => points.slice(1).map(([x, y], k) => Math.hypot(x - points[k][0], y - points[k][1]));

function drawSpeeds(context, first, again, left, top, wide, high, at) {
  const [from, to, floor] = [left + 58, left + wide - 12, top + high - 20];
  const both = [speeds(first), speeds(again)];
  const most = Math.max(1e-6, ...both.flat());
  const px = (k) => from + ((to - from) * k) / (first.length - 1);
  const py = (speed) => floor - ((high - 34) * speed) / most;
  context.strokeStyle = COLOURS.rule;
  context.lineWidth = 1;
  line(context, from, floor, to, floor);
  context.font = `11${FONT}`;
  context.fillStyle = COLOURS.text;
  context.textAlign = "right";
  context.fillText("speed", from - 8, floor - (high - 34) / 2);
  context.textAlign = "left";
  context.fillText("begins", from, floor + 14);
  context.textAlign = "right";
  context.fillText("ends", to, floor + 14);
  context.textAlign = "left";
  for (const [values, colour, thick, alpha] of [
    [both[0], COLOURS.first, 8, 0.38],
    [both[1], COLOURS.again, 2, 1],
  ]) {
    context.beginPath();
    values.forEach((speed, k) => (k ? context.lineTo(px(k + 0.5), py(speed)) : context.moveTo(px(0.5), py(speed))));
    context.strokeStyle = colour;
    context.globalAlpha = alpha;
    context.lineWidth = thick;
    context.stroke();
  }
  context.globalAlpha = 1;
  context.strokeStyle = COLOURS.strong;
  context.lineWidth = 1;
  line(context, px(at), top + 8, px(at), floor);
}
