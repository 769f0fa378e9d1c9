// Time: plays the video, or a clock where there is none, and tells which frame of the table is on the screen.

const SAME_SECONDS = 5e-4;

/** `onFrame(frame)` is called when a frame has come onto the screen, `onChange()` when anything else has changed. */
class Player {
  constructor(times, { onFrame, onChange }) {
    this.times = times; // seconds of the table, (T,)
    this.onFrame = onFrame;
    this.onChange = onChange;
    this.frame = 0; // on the screen
    this.wanted = null; // where a seek goes, until its picture has come
    this.target = null; // where the browser is seeking
    this.tries = 0; // what else was done to bring the picture
    this.rate = 1;
    this.video = null;
    this.runs = false; // whether the video was told to play
    this.crawling = null; // the timer that ends it
    this.clock = null; // without a video: {since, frame}
  }

  /** Show a video whose frames are shown at these seconds of its own clock, (T,).
   *
   * `around`: when it shows the frames before and after them, null where it has none.
   */
  attach(video, shown, [before, after]) {
    Object.assign(this, { video, shown, before: before ?? -Infinity, after: after ?? Infinity, target: null });
    this.at = video.currentTime; // when the picture on the screen is due; the first may have come before this
    video.playbackRate = this.rate;
    const tick = (now, { mediaTime }) => {
      if (this.video !== video || this.shown !== shown) return;
      video.requestVideoFrameCallback(tick); // before anything that may bring the next
      this.at = mediaTime;
      this.come();
    };
    video.requestVideoFrameCallback(tick);
    video.onseeked = () => {
      if (this.video !== video) return;
      if (this.wanted !== this.target) return this.go();
      this.target = null;
      // A seek within one frame brings no new picture, and one may come before the seek has ended.
      setTimeout(() => { if (this.video === video && !video.seeking) this.come(); }, 120);
    };
    for (const event of ["play", "pause", "ratechange"]) video[`on${event}`] = () => this.onChange();
    video.onended = () => {
      if (this.crawling) {
        this.halt();
        this.come();
      } else if (this.runs && this.wanted === null && this.after === Infinity) {
        this.seek(this.times.length - 1); // the end may come before the last pictures
      }
      this.runs = false;
      this.onChange();
    };
    this.seek(this.ahead);
  }

  detach() {
    const frame = this.ahead;
    this.video = this.wanted = this.target = null;
    this.present(frame);
  }

  /** The frame of the picture on the screen, after its own time: `currentTime` may be frames ahead of it.
   *
   * Where the poses are those of a part of the video: -1 before that, T behind.
   */
  place() {
    if (this.at <= this.before + SAME_SECONDS) return -1;
    return this.at >= this.after - SAME_SECONDS ? this.times.length : nearest(this.shown, this.at);
  }

  /** A picture has come. */
  come() {
    const place = this.place();
    if (this.wanted !== null && (this.target === null ? this.goesOn(place) : this.tries && place !== this.wanted)) return;
    if (place in this.times && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.present(place);
    if (place === this.times.length && this.playing) {
      this.pause();
      this.seek(place - 1);
    }
  }

  /** Whether a seek goes on, after the browser has ended it at a picture.
   *
   * Chromium ends a seek at the first picture that is to last, after the file, until the time or longer. Of a variable
   * rate, that is often an earlier one: with B-frames files tell durations in the order of decoding, and of WebM it
   * takes the mean. In fragments of MP4 it may be a later one: times are looked for in the order of decoding, too.
   * A video that plays shows the right ones.
   */
  goesOn(place) {
    if (this.crawling && place < this.wanted) return true;
    this.halt();
    if (place !== this.wanted && this.video.paused && this.again(place)) return true;
    this.wanted = null;
    this.onChange();
    return false;
  }

  /** Try something else: crawl on, or go to the end for the last frame; then twice, crawl from farther back. */
  again(place) {
    const { video, shown, wanted } = this;
    const step = place < wanted ? this.tries : this.tries | 1; // odd ones go back
    if (step > 4) return false;
    this.tries = step + 1;
    const is_last = wanted === this.times.length - 1 && this.after === Infinity;
    if (step % 2 === 0 && !(step === 0 && is_last)) {
      this.crawl();
    } else {
      this.target = wanted;
      video.currentTime = step ? shown[Math.max(wanted - 8, 0)] : Math.min(video.duration, shown[wanted] + 3600);
    }
    return true;
  }

  /** Play without sound to the wanted frame, so slowly that it stays for a fifth of a second. */
  crawl() {
    const { video } = this, [begin, end] = this.span(this.wanted);
    const slow = Math.min(Math.max((end - begin) * 5, 1 / 16), 1);
    const crawling = setTimeout(() => { this.halt(); this.come(); }, 3000);
    const pace = () => {
      if (this.crawling !== crawling) return;
      const rate = begin - video.currentTime > 0.1 ? 1 : slow;
      if (video.playbackRate !== rate) video.playbackRate = rate;
      requestAnimationFrame(pace);
    };
    this.crawling = crawling;
    video.muted = true;
    pace();
    video.play().catch(() => {});
  }

  halt() {
    if (!this.crawling) return;
    clearTimeout(this.crawling);
    this.crawling = null;
    this.video.pause();
    this.video.playbackRate = this.rate;
    this.video.muted = false;
  }

  present(frame) {
    this.frame = Math.min(frame, Math.max(this.times.length - 1, 0));
    this.onFrame(this.frame);
  }

  /** The frame that is, or will be, on the screen. */
  get ahead() { return this.wanted ?? this.frame; }

  get playing() { return this.video ? !this.video.paused && !this.video.ended && !this.crawling : this.clock !== null; }

  seek(frame) {
    frame = Math.max(0, Math.min(frame, this.times.length - 1));
    if (!this.times.length) return;
    if (!this.video) {
      if (this.clock) this.clock = { since: performance.now(), frame };
      return this.present(frame);
    }
    this.halt();
    this.wanted = frame;
    if (this.target === null) this.go();
    this.onChange();
  }

  /** From when to when the video shows a frame. */
  span(frame) { return [this.shown[frame], this.shown[frame + 1] ?? this.after]; }

  go() {
    this.target = this.wanted;
    this.tries = 0;
    const [begin, end] = this.span(this.target);
    this.video.currentTime = begin + Math.min((end - begin) / 2, 0.004); // inside the frame, whatever is rounded
  }

  step(frames) {
    this.pause();
    this.seek(this.ahead + frames);
  }

  /** Go by a time. */
  skip(seconds) { this.seek(nearest(this.times, this.times[this.ahead] + seconds)); }

  pause() {
    this.halt();
    this.runs = false;
    if (this.video) this.video.pause();
    this.clock = null;
    this.onChange();
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.ahead >= this.times.length - 1) this.seek(0);
    this.halt();
    this.runs = true;
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
    if (this.video && !this.crawling) this.video.playbackRate = rate;
    if (this.clock) this.clock = { since: performance.now(), frame: this.frame };
  }
}
