/** Sounds from oscillators, off until somebody asks: no files, and no audio at all where a browser has none. */

const TONES = {
  shot: { type: "square", from: 520, to: 140, s: 0.09, volume: 0.05 },
  hit: { type: "triangle", from: 900, to: 700, s: 0.06, volume: 0.12 },
  hurt: { type: "sawtooth", from: 160, to: 70, s: 0.16, volume: 0.12 },
  kill: { type: "triangle", from: 520, to: 1040, s: 0.22, volume: 0.16 },
  death: { type: "sawtooth", from: 300, to: 50, s: 0.5, volume: 0.14 },
  start: { type: "sine", from: 440, to: 880, s: 0.25, volume: 0.14 },
  far: { type: "square", from: 300, to: 120, s: 0.06, volume: 0.015 },
};

export class Sound {
  constructor(on) {
    this.on = on;
    this.context = null;
  }

  set(on) {
    this.on = on;
    if (on) this.play("hit");
    else this.context?.suspend?.();
  }

  play(name) {
    if (!this.on) return;
    try {
      this.context ??= new AudioContext();
      if (this.context.state === "suspended") this.context.resume();
      const { type, from, to, s, volume } = TONES[name];
      const now = this.context.currentTime;
      const tone = this.context.createOscillator();
      const gain = this.context.createGain();
      tone.type = type;
      tone.frequency.setValueAtTime(from, now);
      tone.frequency.exponentialRampToValueAtTime(to, now + s);
      gain.gain.setValueAtTime(volume, now);
      gain.gain.exponentialRampToValueAtTime(0.0001, now + s);
      tone.connect(gain).connect(this.context.destination);
      tone.start(now);
      tone.stop(now + s);
    } catch {
      this.on = false; // no audio here
    }
  }
}
