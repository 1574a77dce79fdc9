/**
 * A session over whatever connections it takes: opens, resumes, follows its match to another process, asks for a new placement where
 * the protocol says so (docs/protocol.md, "When a connection ends").
 */

import { REASONS, retryAfter } from "../js/close.js";
import { ClientSession } from "../js/session.js";
import { sleep } from "./api.js";

const SUBPROTOCOL = "gameedge.v1";
const CLIENT = "gameedge-web/1";
const OPEN_MS = 4000;
const WELCOME_MS = 5000; // a process that takes connections and answers nobody is tried like one that is gone
const SETTLED_MS = 1000; // a connection that ends sooner after its welcome is one more attempt: a sick server is not stormed
const POLL_MS = 250;
const GIVE_UP_MS = 60000; // then a placement is asked for
const TRAVEL_TRIES = 3; // to reach a match in another region; then back
const TOKEN_SPARE_MS = 10000; // a token that ends this soon is renewed before it is used

/** `on` has: message(m), snapshot(data, nowMs), state("connecting" | "open" | "lost"), over(text). `placer(current)` → a placement. */
export class Connection {
  constructor(placement, placer, on, { openMs = OPEN_MS, welcomeMs = WELCOME_MS } = {}) {
    Object.assign(this, { openMs, welcomeMs });
    this.placer = placer;
    this.on = on;
    this.session = new ClientSession(placement.token, CLIENT);
    this.lostMs = null;
    this.welcomedMs = null; // of this connection
    this.brief = 0; // connections in a row that ended as soon as they were welcomed
    this.fallback = ""; // the process that goes on with the match if this one dies
    this.closed = false;
    this.socket = null;
    this.home = null; // on the way to a match in another region: where to come back to
    this.abroad = false; // there: before the next match a placement is asked for
    this.#take(placement);
    this.timer = setInterval(() => this.#poll(), POLL_MS);
    this.#open(this.urls[0]);
  }

  send(message) {
    const n = this.session.send(message);
    this.#flush();
    return n;
  }

  sendBinary(data) {
    if (this.session.open && this.socket?.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  ping() {
    if (!this.session.open) return;
    this.session.ping(performance.now());
    this.#flush();
  }

  /** Go to the process that hosts the match; the session comes along. */
  follow(url) {
    if (url === this.url) return;
    this.url = url;
    this.#drop();
    this.#open(url);
  }

  /** A match was found in another region: go there with a session of its own. The one here waits in the queue until that is open. */
  travel(away) {
    if (this.home || this.closed || !away.urls.length) return;
    const { ticket, match, mode, match_token, join_ms, region } = away;
    const found = { t: "match_found", ticket, match, mode, url: away.urls[0], match_token, join_ms };
    const { session, urls, url, expiresMs } = this;
    const home = { session, urls, url, expiresMs, region: this.region, found, untilMs: performance.now() + join_ms, tries: 0 };
    this.#drop();
    Object.assign(this, { home, urls: away.urls, region, session: new ClientSession(away.token, CLIENT) });
    this.#open(away.urls[0]);
  }

  /** The other region cannot be reached: the session at home goes on. */
  #comeBack() {
    const { session, urls, url, expiresMs, region } = this.home;
    Object.assign(this, { home: null, session, urls, expiresMs, region });
    this.#open(url);
  }

  /** The process goes away: be placed anew and go on there. */
  async move() {
    this.#drop();
    await this.#again(true);
  }

  /** For good. */
  close() {
    this.closed = true;
    clearInterval(this.timer);
    if (this.session.open && this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"t":"bye"}');
    this.#drop();
  }

  #take(placement) {
    this.urls = placement.edges;
    this.expiresMs = placement.expires_ms;
    this.region = placement.region;
    this.session.token = placement.token;
  }

  #drop() {
    const socket = this.socket;
    this.socket = null;
    clearTimeout(this.late);
    this.session.detach();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #open(url) {
    if (this.closed) return;
    this.url = url;
    this.on.state("connecting");
    let socket;
    try {
      socket = new WebSocket(url, SUBPROTOCOL);
    } catch {
      if (this.home) this.#comeBack();
      else this.#again(false);
      return;
    }
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    this.welcomedMs = null;
    this.late = setTimeout(() => socket.close(), this.openMs);
    socket.onopen = () => {
      clearTimeout(this.late);
      this.late = setTimeout(() => socket.close(), this.welcomeMs);
      socket.send(this.session.hello());
    };
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.#lost(code, reason);
    };
  }

  #hear(data) {
    const now = performance.now();
    if (typeof data !== "string") {
      this.session.heard(now);
      this.on.snapshot(data, now);
      return;
    }
    for (const message of this.session.receive(data, now)) {
      if (message.t === "welcome") {
        clearTimeout(this.late);
        this.lostMs = null;
        this.welcomedMs = now;
        this.on.state("open");
        if (this.home) {
          const { found } = this.home;
          Object.assign(this, { home: null, abroad: true });
          found.url = this.url; // whichever process of that region answered
          this.on.message(found);
          continue;
        }
      }
      if (message.t === "fallback") this.fallback = message.url ?? "";
      this.on.message(message);
    }
    this.#flush();
  }

  #flush() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const text of this.session.outgoing()) this.socket.send(text);
    if (this.session.broken) this.socket.close(4004, this.session.broken.slice(0, 100));
  }

  #poll() {
    this.session.poll(performance.now());
    this.#flush();
  }

  #lost(code, reason) {
    const ours = this.session.broken !== "";
    if (this.welcomedMs !== null) this.brief = performance.now() - this.welcomedMs < SETTLED_MS ? this.brief + 1 : 0;
    this.#drop();
    if (this.closed) return;
    if (this.home) {
      this.home.tries += 1;
      if (this.home.tries >= TRAVEL_TRIES || performance.now() > this.home.untilMs || retryAfter(code) !== "resume") this.#comeBack();
      else this.#open(this.urls[this.home.tries % this.urls.length]);
      return;
    }
    const what = ours ? "resume" : retryAfter(code);
    if (what === "never") {
      this.closed = true;
      clearInterval(this.timer);
      this.on.over(REASONS[code] ?? "closed", reason);
      return;
    }
    this.#again(what === "place");
  }

  /** Try until it works: the same process, then whichever has the match if that died, its neighbours, wherever a new placement says. */
  async #again(placed) {
    this.on.state("lost");
    const first = this.lostMs === null;
    this.lostMs ??= performance.now();
    this.attempt = first ? 0 : (this.attempt ?? 0) + 1;
    const tries = Math.max(this.attempt, this.brief - 1);
    if (tries > 0) await sleep(Math.random() * Math.min(5000, 100 * 2 ** Math.min(tries, 10)));
    if (this.closed || this.socket) return;
    const expired = Date.now() > this.expiresMs - TOKEN_SPARE_MS;
    if (placed || expired || performance.now() - this.lostMs > GIVE_UP_MS) {
      try {
        this.#take(await this.placer(this.region));
      } catch (error) {
        if (error.retryAfterMs === null && error.status !== 503) {
          this.closed = true;
          clearInterval(this.timer);
          this.on.over(error.reason, error.message);
        } else {
          await sleep(1000);
          if (!this.closed) this.#again(true);
        }
        return;
      }
      if (this.closed || this.socket) return;
      this.#open(this.urls[0]);
      return;
    }
    // The same one first, since a connection may be lost for other reasons than a process.
    const again = this.attempt === 1 && this.fallback ? this.fallback : this.url;
    this.#open(this.attempt < 2 ? again : this.urls[this.attempt % this.urls.length]);
  }
}
