/**
 * The client's side of a session: see "The session" in docs/protocol.md. No I/O and no clock, so that the same code runs over a
 * browser's WebSocket, over Node's, and in tests.
 *
 *   const session = new ClientSession(token, "my-game/1.0");
 *   socket.onopen = () => socket.send(session.hello());        // on every connection, the first and each later one
 *   socket.onmessage = ({ data }) => {
 *     if (typeof data === "string") session.receive(data, now()).forEach(act);
 *     session.outgoing().forEach((text) => socket.send(text));
 *   };
 *   session.send({ t: "queue", mode: "duel" });                // `n` is assigned; kept until the server has it
 *   setInterval(() => session.poll(now()), 250);               // pings and acks that are due; then send what is `outgoing`
 *   socket.onclose = () => session.detach();                   // hello() on the next connection resumes
 */

const ACK_EVERY = 16; // critical messages
const ACK_DELAY_MS = 500; // a lone one is acknowledged after this
const UNRECEIVED_MAX = 256;
const PINGS_MAX = 8; // unanswered ones that are remembered
const HEARTBEAT_MS = 5000; // before the first welcome has said it
const CRITICAL = new Set([
  ...["queued", "dequeued", "explained", "match_offered", "match_withdrawn"],
  ...["match_found", "match_away", "match_started", "match_ended", "match_lost"],
]);
const OTHERS = new Set(["queue_status", "roster", "pong", "refused", "reroute", "fallback", "draining"]);
const UNUSED = new Set(["out_of_order", "malformed"]); // refusals that leave their `n` unused

export class ClientSession {
  constructor(token, client = "") {
    this.token = token; // put a new one here after another placement
    this.client = client;
    this.welcome = null; // the last one
    this.open = false;
    this.broken = ""; // why this connection is to be closed: the server broke the protocol, or is silent
    this.lastS = 0;
    this.rttMs = null;
    this._nextN = 1;
    this._unreceived = [];
    this._out = [];
    this._ackedS = 0;
    this._ackDueMs = null;
    this._pingId = 0;
    this._pings = new Map();
    this._pingedMs = 0;
    this._heardMs = 0;
  }

  /** The first message of a new connection. */
  hello() {
    this.detach();
    const hello = { t: "hello", token: this.token };
    if (this.welcome) hello.resume = this.welcome.resume_token;
    if (this.lastS) hello.last_s = this.lastS;
    if (this.client) hello.client = this.client;
    return JSON.stringify(hello);
  }

  /** Queue a critical message; its `n`. Without a connection it waits for the next one. */
  send(message) {
    if (this._unreceived.length >= UNRECEIVED_MAX) throw new Error("too many messages wait for the server");
    const numbered = { ...message, n: this._nextN++ };
    this._unreceived.push(numbered);
    if (this.open) this._out.push(JSON.stringify(numbered));
    return numbered.n;
  }

  ping(nowMs) {
    this._pingedMs = nowMs;
    const id = ++this._pingId;
    if (this._pings.size >= PINGS_MAX) this._pings.delete(this._pings.keys().next().value);
    this._pings.set(id, nowMs);
    this._out.push(JSON.stringify({ t: "ping", id }));
  }

  /** Texts to send now, in order; each is handed out once. */
  outgoing() {
    const out = this._out;
    this._out = [];
    return out;
  }

  /** One text frame: the messages to act on, each critical one exactly once and in order. */
  receive(text, nowMs) {
    this._heardMs = nowMs;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return [];
    }
    if (message === null || typeof message !== "object") return [];
    if (message.t === "welcome") return this._onWelcome(message, nowMs);
    if (!this.open) return message.t === "refused" ? [message] : [];
    if (CRITICAL.has(message.t) || message.s > 0) {
      // A message of a newer server that we do not know counts like any other.
      return this._count(message.s, nowMs) && CRITICAL.has(message.t) ? [message] : [];
    }
    if (!OTHERS.has(message.t)) return []; // of a newer server
    if (message.t === "pong") this._onPong(message, nowMs);
    if (message.t === "refused" && message.n && !UNUSED.has(message.reason)) this._dropReceived(message.n);
    return [message];
  }

  /** A snapshot or another sign of life came. */
  heard(nowMs) {
    this._heardMs = nowMs;
  }

  /** What time alone asks for; a few times a second. */
  poll(nowMs) {
    if (!this.open) return;
    if (this._ackDueMs !== null && nowMs >= this._ackDueMs) this._ack();
    const heartbeat = Math.max(250, this.welcome.heartbeat_ms ?? HEARTBEAT_MS);
    if (nowMs - this._heardMs >= 3 * heartbeat) this.broken = "nothing was heard";
    else if (nowMs - this._pingedMs >= heartbeat) this.ping(nowMs);
  }

  /** The connection is gone. What it has not delivered is kept for the next one. */
  detach() {
    this.open = false;
    this.broken = "";
    this._out = [];
    this._pings.clear();
    this._ackDueMs = null;
  }

  _onWelcome(welcome, nowMs) {
    if (this.open) {
      this.broken = "a second welcome";
      return [];
    }
    if (!welcome.resumed) {
      if (this.welcome) this._unreceived = []; // of a session that is gone: it has lost its meaning
      this.lastS = 0;
    }
    this.welcome = welcome;
    this.open = true;
    this._ackedS = this.lastS;
    this._dropReceived(welcome.received);
    // Numbered anew from what the server has: a session that moved to another process may be a moment behind.
    this._unreceived = this._unreceived.map((message, i) => ({ ...message, n: welcome.received + 1 + i }));
    this._nextN = welcome.received + this._unreceived.length + 1;
    this._out.push(...this._unreceived.map((message) => JSON.stringify(message)));
    this.ping(nowMs);
    return [welcome];
  }

  _count(s, nowMs) {
    if (s > 0 && s <= this.lastS) return false; // sent again after a resume
    if (s !== this.lastS + 1) {
      this.broken = `critical message ${s} after ${this.lastS}`;
      return false;
    }
    this.lastS = s;
    if (s - this._ackedS >= ACK_EVERY) this._ack();
    else this._ackDueMs ??= nowMs + ACK_DELAY_MS;
    return true;
  }

  _ack() {
    this._ackDueMs = null;
    this._ackedS = this.lastS;
    this._out.push(JSON.stringify({ t: "ack", s: this.lastS }));
  }

  _onPong(pong, nowMs) {
    const sent = this._pings.get(pong.id);
    if (sent !== undefined) {
      this.rttMs = nowMs - sent;
      for (const id of [...this._pings.keys()]) if (id <= pong.id) this._pings.delete(id);
    }
    this._dropReceived(pong.received ?? 0);
  }

  _dropReceived(n) {
    while (this._unreceived.length && this._unreceived[0].n <= n) this._unreceived.shift();
  }
}
