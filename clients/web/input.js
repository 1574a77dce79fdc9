/**
 * Keyboard, mouse and touch as one wish: where to move, where to aim, whether to fire. The arrow keys turn the aim, so that a
 * keyboard alone is enough; on a touch screen the left half moves and the right half aims, and fires while it is pulled far.
 */

const TURN_MAX = 4.2; // radians a second with an arrow key held
const TURN_UP = 9; // until that speed is reached: a tap turns a little
const AIM_FAR = 12; // world units to the cursor where it has no place of its own
const STICK = 56; // CSS pixels of a stick's way
const STICK_FIRE = 0.55; // of its way: fires beyond

const MOVES = { KeyW: [0, 1], KeyS: [0, -1], KeyA: [-1, 0], KeyD: [1, 0] };
const TURNS = { ArrowLeft: 1, ArrowRight: -1 };
const KEYS = new Set([...Object.keys(MOVES), ...Object.keys(TURNS), "ArrowUp", "ArrowDown", "Space"]);

export class Input {
  constructor(canvas) {
    this.canvas = canvas;
    this.held = new Set();
    this.pointer = null; // CSS pixels of the mouse
    this.mouseFire = false;
    this.angle = 0; // of the keyboard's or the stick's aim
    this.turning = 0;
    this.by = matchMedia("(pointer: coarse)").matches ? "touch" : "mouse"; // what aims: mouse, keys or touch
    this.sticks = { move: null, aim: null };
    this.active = false;
    const listen = (target, name, heard, options) => target.addEventListener(name, (event) => this.active && heard(event), options);
    listen(window, "keydown", (event) => this.#key(event, true));
    window.addEventListener("keyup", (event) => this.held.delete(event.code));
    window.addEventListener("blur", () => this.release());
    listen(canvas, "pointerdown", (event) => this.#down(event));
    listen(canvas, "pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#up(event));
    listen(canvas, "contextmenu", (event) => event.preventDefault());
  }

  release() {
    this.held.clear();
    this.mouseFire = false;
    this.turning = 0;
    this.sticks = { move: null, aim: null };
  }

  #key(event, down) {
    const onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLInputElement;
    if (!KEYS.has(event.code) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (onButton && event.code === "Space") return; // it presses the button
    event.preventDefault();
    if (down) this.held.add(event.code);
    if (event.code in TURNS) this.by = "keys";
  }

  #down(event) {
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture?.(event.pointerId);
    const at = this.#place(event);
    if (event.pointerType === "touch") {
      event.preventDefault();
      const side = at.x < this.canvas.clientWidth / 2 ? "move" : "aim";
      if (!this.sticks[side]) this.sticks[side] = { id: event.pointerId, from: at, to: at };
      this.by = "touch";
      return;
    }
    this.by = "mouse";
    this.pointer = at;
    if (event.button === 0) this.mouseFire = true;
  }

  #move(event) {
    const at = this.#place(event);
    if (event.pointerType !== "touch") {
      this.by = "mouse";
      this.pointer = at;
      return;
    }
    for (const stick of Object.values(this.sticks)) if (stick?.id === event.pointerId) stick.to = at;
  }

  #up(event) {
    if (event.pointerType !== "touch") {
      if (event.button === 0) this.mouseFire = false;
      return;
    }
    for (const side of ["move", "aim"]) if (this.sticks[side]?.id === event.pointerId) this.sticks[side] = null;
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** A stick's way, -1 to 1 in both directions, y up. */
  static way(stick) {
    if (!stick) return [0, 0];
    const [x, y] = [(stick.to.x - stick.from.x) / STICK, (stick.from.y - stick.to.y) / STICK];
    const length = Math.hypot(x, y);
    return length > 1 ? [x / length, y / length] : [x, y];
  }

  /** One sub-tick. `toWorld` turns CSS pixels into world units relative to oneself. */
  sample(seconds, toWorld) {
    let [x, y] = [0, 0];
    for (const [code, [dx, dy]] of Object.entries(MOVES)) {
      if (!this.held.has(code)) continue;
      x += dx;
      y += dy;
    }
    const [sx, sy] = Input.way(this.sticks.move);
    x += sx;
    y += sy;
    const length = Math.hypot(x, y);
    if (length > 1) [x, y] = [x / length, y / length];
    const aim = this.#aim(seconds, toWorld);
    const pulled = Math.hypot(...Input.way(this.sticks.aim));
    const fire = this.mouseFire || this.held.has("Space") || pulled > STICK_FIRE;
    return { aim_x: aim[0], aim_y: aim[1], move_x: x, move_y: y, fire, dt_ms: 17 };
  }

  #aim(seconds, toWorld) {
    let wish = 0;
    for (const [code, way] of Object.entries(TURNS)) if (this.held.has(code)) wish += way;
    this.turning = wish ? Math.max(-TURN_MAX, Math.min(TURN_MAX, this.turning + wish * TURN_UP * seconds)) : 0;
    this.angle += this.turning * seconds;
    const [ax, ay] = Input.way(this.sticks.aim);
    if (this.by === "touch" && Math.hypot(ax, ay) > 0.15) this.angle = Math.atan2(ay, ax);
    if (this.by === "mouse" && this.pointer) {
      const [dx, dy] = toWorld(this.pointer);
      if (Math.hypot(dx, dy) > 0.05) this.angle = Math.atan2(dy, dx);
      return [dx, dy];
    }
    return [Math.cos(this.angle) * AIM_FAR, Math.sin(this.angle) * AIM_FAR];
  }
}
