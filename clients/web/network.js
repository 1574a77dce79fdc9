/** The network graph: round trips, jitter and loss of the last minute. */

const KEPT = 120;

export class Network {
  constructor(canvas, facts) {
    this.canvas = canvas;
    this.facts = facts;
    this.reset();
  }

  reset() {
    this.rtt = []; // ms; null: no connection
    this.loss = [];
  }

  /** Twice a second. `rttMs` null while there is no connection. */
  note(rttMs, lost, expected) {
    this.rtt.push(rttMs);
    this.loss.push([lost, expected]);
    if (this.rtt.length > KEPT) this.rtt.shift();
    if (this.loss.length > 20) this.loss.shift();
  }

  get lossShare() {
    const lost = this.loss.reduce((sum, [l]) => sum + l, 0);
    const expected = this.loss.reduce((sum, [, e]) => sum + e, 0);
    return expected ? lost / expected : 0;
  }

  draw(figures) {
    const g = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const high = Math.max(60, ...this.rtt.filter((v) => v !== null)) * 1.15;
    g.clearRect(0, 0, width, height);
    g.strokeStyle = "#2b3a4f";
    g.lineWidth = 1;
    for (const part of [0.25, 0.5, 0.75]) {
      g.beginPath();
      g.moveTo(0, height * part);
      g.lineTo(width, height * part);
      g.stroke();
    }
    g.lineWidth = 2;
    g.strokeStyle = "#4cc2ff";
    g.beginPath();
    let down = false;
    this.rtt.forEach((value, i) => {
      const x = (i / (KEPT - 1)) * width;
      if (value === null) {
        g.fillStyle = "#ff8a70";
        g.fillRect(x, 0, 3, height);
        down = false;
        return;
      }
      const y = height - (value / high) * (height - 4) - 2;
      if (down) g.lineTo(x, y);
      else g.moveTo(x, y);
      down = true;
    });
    g.stroke();
    const rows = Object.entries(figures).map(([name, value]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    });
    this.facts.replaceChildren(...rows.flat());
  }
}
