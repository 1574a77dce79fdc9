/** Watching a match: one connection, one message, then frames that everybody is in (docs/protocol.md, "Watching"). */

const SUBPROTOCOL = "gameedge.v1";

/** `on` has: watching(m), snapshot(data, nowMs), over(text). */
export class Spectator {
  constructor(url, token, match, on) {
    this.on = on;
    this.closed = false;
    this.socket = new WebSocket(url, SUBPROTOCOL);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.socket.send(JSON.stringify({ t: "watch", token, match }));
    this.socket.onmessage = ({ data }) => this.#hear(data);
    this.socket.onclose = ({ code, reason }) => {
      if (!this.closed) on.over(code === 1000 ? "" : reason || "the connection was lost");
      this.closed = true;
    };
  }

  #hear(data) {
    if (typeof data !== "string") {
      this.on.snapshot(data, performance.now());
      return;
    }
    try {
      const message = JSON.parse(data);
      if (message.t === "watching") this.on.watching(message);
    } catch {
      // not for us
    }
  }

  close() {
    this.closed = true;
    this.socket.close();
  }
}
