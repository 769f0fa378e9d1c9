// Time: plays the video, or a clock where there is none, and tells which frame of the table is on the screen.

/** `onFrame(frame)` is called when a frame has come onto the screen, `onChange()` when anything else has changed. */
class Player {
  constructor(times, { onFrame, onChange }) {
    this.times = times; // seconds of the table, (T,)
    this.onFrame = onFrame;
    this.onChange = onChange;
    this.frame = 0; // on the screen
    this.wanted = null; // where a seek under way goes
    this.sought = null; // where a seek has ended whose frame has not come onto the screen yet
    this.rate = 1;
    this.video = null;
    this.clock = null; // without a video: {since, frame}
  }

  /** Show a video whose frames are shown at these seconds of its own clock, (T,). */
  attach(video, shown) {
    this.video = video;
    this.shown = shown;
    video.playbackRate = this.rate;
    if (video.requestVideoFrameCallback) {
      const tick = (now, { mediaTime }) => {
        if (this.video !== video || this.shown !== shown) return;
        this.present(nearest(shown, mediaTime));
        this.stopBehind(mediaTime);
        video.requestVideoFrameCallback(tick);
      };
      video.requestVideoFrameCallback(tick);
    } else {
      const tick = () => {
        if (this.video !== video || this.shown !== shown) return;
        if (!video.seeking && !video.paused) this.presentCurrent();
        this.stopBehind(video.currentTime);
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }
    video.onseeked = () => {
      if (this.wanted !== null && this.wanted !== this.target) return this.go();
      this.sought = this.target;
      this.wanted = this.target = null;
      // A seek within one frame brings no new one, and one that came before the seek ended could not be drawn.
      setTimeout(() => { if (!video.seeking && video.paused) this.presentCurrent(); }, 120);
    };
    for (const event of ["play", "pause", "ended", "ratechange"]) video[`on${event}`] = () => this.onChange();
    this.seek(this.frame);
  }

  detach() {
    this.video = null;
    this.wanted = this.sought = null;
    this.present(this.frame);
  }

  /** The poses may be those of a part of the video. */
  stopBehind(seconds) { if (seconds > this.shown[this.shown.length - 1] + 0.5) this.video.pause(); }

  presentCurrent() { this.present(lastUpTo(this.shown, this.video.currentTime + 5e-4)); }

  present(frame) {
    this.frame = Math.min(frame, Math.max(this.times.length - 1, 0));
    this.sought = null;
    this.onFrame(this.frame);
  }

  /** The frame that is, or will be, on the screen. */
  get ahead() { return this.wanted ?? this.sought ?? this.frame; }

  get playing() { return this.video ? !this.video.paused && !this.video.ended : this.clock !== null; }

  seek(frame) {
    frame = Math.max(0, Math.min(frame, this.times.length - 1));
    if (!this.times.length) return;
    if (!this.video) {
      if (this.clock) this.clock = { since: performance.now(), frame };
      return this.present(frame);
    }
    const under_way = this.wanted !== null;
    this.wanted = frame;
    if (!under_way) this.go();
    this.onChange();
  }

  go() {
    this.target = this.wanted;
    const [begin, end] = [this.shown[this.target], this.shown[this.target + 1] ?? Infinity];
    this.video.currentTime = begin + Math.min((end - begin) / 2, 0.004); // inside the frame, whatever is rounded
  }

  step(frames) {
    this.pause();
    this.seek(this.ahead + frames);
  }

  /** Go by a time. */
  skip(seconds) { this.seek(nearest(this.times, this.times[this.ahead] + seconds)); }

  pause() {
    if (this.video) this.video.pause();
    this.clock = null;
    this.onChange();
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.ahead >= this.times.length - 1) this.seek(0);
    if (this.video) return void this.video.play().catch(() => this.onChange());
    this.clock = { since: performance.now(), frame: this.frame };
    this.onChange();
    const tick = (now) => {
      if (!this.clock || this.video) return;
      const time = this.times[this.clock.frame] + (now - this.clock.since) / 1000 * this.rate;
      const frame = lastUpTo(this.times, time);
      if (frame !== this.frame) this.present(frame);
      if (frame >= this.times.length - 1) return this.pause();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
    if (this.clock) this.clock = { since: performance.now(), frame: this.frame };
  }
}
