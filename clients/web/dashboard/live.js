// The live stream: signs in with the first message, comes back by itself after whatever broke it, and says which it is.

const BACKOFF_MS = [500, 10000];
const SILENT_MS = 6000; // a state comes every second: after this the line is dead, whatever the browser thinks

export class Live {
  // hear: {hello, state, status, refused}. status: {state: "on" | "connecting" | "waiting", inMs}
  constructor(url, hear) {
    this.url = url;
    this.hear = hear;
    this.socket = null;
    this.tries = 0;
    this.look = null;
    this.wanted = false;
    this.timer = 0;
    this.silence = 0;
    this.signedIn = false;
  }

  start(token) {
    this.token = token;
    this.wanted = true;
    this.tries = 0;
    this.open();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  // One region in full; null: none.
  lookAt(region) {
    if (this.look === region) return;
    this.look = region;
    if (this.signedIn) this.send({ type: "look", region });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  open() {
    clearTimeout(this.timer);
    const before = this.socket;
    this.socket = null;
    before?.close();
    this.hear.status({ state: "connecting" });
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.signedIn = false;
    this.listen();
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "token", token: this.token })));
    socket.addEventListener("message", (event) => socket === this.socket && this.heard(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this.socket && this.closed(event));
  }

  heard(message) {
    this.listen();
    if (message.type === "hello") {
      this.signedIn = true;
      this.tries = 0;
      this.hear.status({ state: "on" });
      this.hear.hello(message);
      if (this.look) this.send({ type: "look", region: this.look });
    } else if (message.type === "state") this.hear.state(message);
    else if (message.type === "bye") this.bye = message;
  }

  listen() {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.silence = setTimeout(() => socket === this.socket && this.closed({ code: 1006 }), SILENT_MS);
  }

  closed(event) {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    this.signedIn = false;
    socket?.close();
    const bye = this.bye;
    this.bye = null;
    if (!this.wanted) return;
    if (event.code === 4401 || event.code === 4403) {
      this.wanted = false;
      this.hear.refused(bye?.reason ?? "token_invalid", bye?.detail ?? "");
      return;
    }
    const [first, last] = BACKOFF_MS;
    const inMs = Math.min(last, first * 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries += 1;
    this.hear.status({ state: "waiting", inMs, why: bye?.detail ?? "" });
    this.timer = setTimeout(() => this.open(), inMs);
  }
}
