/**
 * A WebSocket client for Node before 22, which has none: RFC 6455 on top of an HTTP upgrade. Text, binary, ping, pong and close,
 * fragments of a server; no extensions. `ws://` and `wss://`.
 */

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const MESSAGE_MAX = 65536;

/** Resolves with an open WebSocket; rejects where the server does not answer, or answers something else. */
export function connect(url, subprotocol, timeoutMs = 5000) {
  return new Promise((resolve, reject) => {
    const key = randomBytes(16).toString("base64");
    const accept = createHash("sha1").update(key + GUID).digest("base64");
    const secure = url.startsWith("wss:");
    const request = (secure ? https : http).request(url.replace(/^ws/, "http"), {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": subprotocol,
      },
      timeout: timeoutMs,
    });
    request.on("timeout", () => request.destroy(new Error(`${url}: no answer within ${timeoutMs} ms`)));
    request.on("error", reject);
    request.on("response", (response) => {
      response.resume();
      reject(new Error(`${url}: HTTP ${response.statusCode} instead of an upgrade`));
    });
    request.on("upgrade", (response, socket, head) => {
      if (response.headers["sec-websocket-accept"] !== accept || response.headers["sec-websocket-protocol"] !== subprotocol) {
        socket.destroy();
        reject(new Error(`${url}: not a WebSocket with ${subprotocol}`));
        return;
      }
      socket.setTimeout(0);
      socket.setNoDelay(true);
      const webSocket = new WebSocket(socket);
      resolve(webSocket);
      setImmediate(() => webSocket._received(head)); // after whoever awaits us has set its callbacks
    });
    request.end();
  });
}

class WebSocket {
  constructor(socket) {
    this.onmessage = () => {}; // (string or Buffer)
    this.onpong = () => {};
    this.onclose = () => {}; // (code, reason): 1006 where there was no close frame
    this._socket = socket;
    this._data = Buffer.alloc(0);
    this._parts = null;
    this._closing = null; // [code, reason] of the first close frame, whichever side sent it
    socket.on("data", (data) => this._received(data));
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.onclose(...(this._closing ?? [1006, ""])));
  }

  send(data) {
    if (typeof data === "string") this._send(TEXT, Buffer.from(data));
    else this._send(BINARY, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  ping(payload = Buffer.alloc(0)) {
    this._send(PING, payload);
  }

  close(code = 1000, reason = "") {
    if (this._closing) return;
    this._closing = [code, reason];
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    this._send(CLOSE, payload);
    setTimeout(() => this._socket.destroy(), 2000).unref();
  }

  /** As a network does: gone, without a word. */
  cut() {
    this._socket.destroy();
  }

  _send(opcode, payload) {
    if (this._socket.destroyed) return;
    const mask = randomBytes(4);
    const head = payload.length < 126 ? Buffer.alloc(2) : Buffer.alloc(4);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (payload.length < 126 ? payload.length : 126); // what a client sends is at most 4096 bytes
    if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
    const masked = Buffer.from(payload);
    for (let i = 0; i < masked.length; i++) masked[i] ^= mask[i & 3];
    this._socket.write(Buffer.concat([head, mask, masked]));
  }

  _received(data) {
    this._data = this._data.length ? Buffer.concat([this._data, data]) : data;
    for (;;) {
      if (this._data.length < 2) return;
      let size = this._data[1] & 0x7f;
      let at = 2;
      if (size === 126) {
        if (this._data.length < 4) return;
        size = this._data.readUInt16BE(2);
        at = 4;
      } else if (size === 127) size = Infinity;
      if (size > MESSAGE_MAX || this._data[1] & 0x80 || this._data[0] & 0x70) {
        this.close(1002, "a frame that no server of gameedge sends");
        this.cut();
        return;
      }
      if (this._data.length < at + size) return;
      const payload = this._data.subarray(at, at + size);
      const [opcode, fin] = [this._data[0] & 0x0f, (this._data[0] & 0x80) !== 0];
      this._data = this._data.subarray(at + size);
      this._frame(opcode, fin, payload);
    }
  }

  _frame(opcode, fin, payload) {
    if (opcode === PING) this._send(PONG, payload);
    else if (opcode === PONG) this.onpong(payload);
    else if (opcode === CLOSE) {
      if (!this._closing) {
        this._closing = payload.length >= 2 ? [payload.readUInt16BE(), payload.toString("utf8", 2)] : [1005, ""];
        this._send(CLOSE, payload);
      }
      this._socket.end();
    } else {
      this._parts ??= { opcode, payloads: [] };
      this._parts.payloads.push(Buffer.from(payload));
      if (!fin) return;
      const { opcode: kind, payloads } = this._parts;
      this._parts = null;
      const whole = Buffer.concat(payloads);
      this.onmessage(kind === TEXT ? whole.toString("utf8") : whole);
    }
  }
}
