// Who is there when: a row for each identity, with doubts and edits as marks above them.

const AXIS = 22, MARKS = 20, ROW = 18, GUTTER = 44, MARGIN = 10;
const TICK_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 36000];

/** Draws the part that is in sight onto a canvas that stays in place while its holder scrolls. */
class Timeline {
  /** `on` = {seek(frame), pick(id), doubt(doubt)} */
  constructor(holder, { poses, cuts, colour, on }) {
    Object.assign(this, { holder, poses, cuts, colour, on }); // `cuts`: frames that begin new shots
    this.space = holder.querySelector(".space");
    this.canvas = holder.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.zoom = 1;
    this.lanes = [];
    this.look = { frame: 0, selected: [], doubts: [], doubt: null, edits: [] };
    const { times } = poses;
    this.begin = times[0] ?? 0;
    const steps = Array.from(times.subarray(1, 1000), (time, i) => time - times[i]).sort((a, b) => a - b);
    this.step = Math.max(steps[steps.length >> 1] ?? 0.04, 1e-3); // seconds that a frame lasts, as a rule
    this.length = Math.max((times[times.length - 1] ?? 0) - this.begin + this.step, 1e-3);
    holder.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.resize()).observe(holder);
    this.listen();
  }

  /** The identities of the rows, after edits. */
  setIds(ids) {
    const lanes = new Map(), { poses } = this;
    for (let row = 0; row < poses.R; row++) if (ids[row] >= 0 && !lanes.has(ids[row])) lanes.set(ids[row], []);
    for (let f = 0; f < poses.T; f++) {
      for (const row of poses.at(f)) {
        if (ids[row] < 0) continue;
        const pieces = lanes.get(ids[row]), last = pieces[pieces.length - 1], origin = poses.origin[row];
        if (last && last.to === f - 1 && last.origin === origin) last.to = f;
        else pieces.push({ from: f, to: f, origin });
      }
    }
    const starts = (pieces) => pieces.map((piece) => poses.times[piece.from]);
    this.lanes = [...lanes].map(([id, pieces]) => ({ id, pieces, starts: starts(pieces) })).sort((one, other) => one.id - other.id);
    this.resize();
  }

  get plot() { return Math.max(this.holder.clientWidth - GUTTER - MARGIN, 50); }

  resize() {
    this.holder.style.height = `${AXIS + MARKS + Math.max(this.lanes.length, 1) * ROW + 16}px`; // CSS has a maximum
    const { clientWidth, clientHeight } = this.holder;
    this.space.style.width = `${clientWidth + this.plot * (this.zoom - 1)}px`;
    this.space.style.height = `${Math.max(AXIS + MARKS + this.lanes.length * ROW, clientHeight)}px`;
    const fine = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(clientWidth * fine);
    this.canvas.height = Math.round(clientHeight * fine);
    this.canvas.style.width = `${clientWidth}px`;
    this.canvas.style.height = `${clientHeight}px`;
    this.context.setTransform(fine, 0, 0, fine, 0, 0);
    this.hatch = null;
    this.draw();
  }

  x(seconds) { return GUTTER + (seconds - this.begin) / this.length * this.plot * this.zoom - this.holder.scrollLeft; }

  seconds(x) { return this.begin + (x - GUTTER + this.holder.scrollLeft) / (this.plot * this.zoom) * this.length; }

  /** Magnify around a place, the playhead if none is given. */
  zoomBy(factor, around = null) {
    const head = this.x(this.poses.times[this.look.frame] ?? this.begin);
    const centre = around ?? (head >= GUTTER && head <= this.holder.clientWidth ? head : this.holder.clientWidth / 2);
    const seconds = this.seconds(centre);
    const most = Math.max(1, this.length / this.step * 14 / this.plot); // a frame as wide as 14 pixels
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), Math.min(most, 20000));
    this.resize();
    this.holder.scrollLeft = (seconds - this.begin) / this.length * this.plot * this.zoom - centre + GUTTER;
    this.draw();
  }

  /** Show a state; where the playhead has left the sight, follow it. */
  show(look) {
    Object.assign(this.look, look);
    const x = this.x(this.poses.times[this.look.frame] ?? this.begin);
    if (x < GUTTER - 1 || x > this.holder.clientWidth - MARGIN + 1) this.holder.scrollLeft += x - GUTTER - 0.15 * this.plot;
    this.draw();
  }

  /** Bring the row of an identity into sight. */
  reveal(id) {
    const row = this.lanes.findIndex((lane) => lane.id === id);
    if (row < 0) return;
    const top = row * ROW, high = this.holder.clientHeight - AXIS - MARKS;
    if (top < this.holder.scrollTop) this.holder.scrollTop = top;
    if (top + ROW > this.holder.scrollTop + high) this.holder.scrollTop = top + ROW - high;
  }

  draw() {
    const { context, holder } = this, style = getComputedStyle(holder);
    const ink = (name) => style.getPropertyValue(name).trim();
    const [wide, high] = [holder.clientWidth, holder.clientHeight];
    context.clearRect(0, 0, wide, high);
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(0, AXIS + MARKS, wide, high);
    context.clip();
    const first = Math.floor(holder.scrollTop / ROW), count = Math.ceil(high / ROW) + 1;
    for (let row = first; row < Math.min(first + count, this.lanes.length); row++) {
      this.drawLane(this.lanes[row], AXIS + MARKS + row * ROW - holder.scrollTop, ink);
    }
    context.restore();
    this.drawCuts(ink, wide, high);
    this.drawAxis(ink, wide, high);
    this.drawMarks(ink, wide, high);
  }

  drawLane({ id, pieces, starts }, y, ink) {
    const { context, poses } = this, wide = this.holder.clientWidth;
    const chosen = this.look.selected.indexOf(id);
    context.fillStyle = chosen < 0 ? ink("--lane") : ink("--chosen");
    context.fillRect(GUTTER, y + 1, wide - GUTTER, ROW - 2);
    const begin = this.seconds(GUTTER), end = this.seconds(wide);
    const end_of = (piece) => {
      const next = poses.times[piece.to + 1];
      return Math.min(next ?? Infinity, poses.times[piece.to] + Math.max(this.step, 1e-3) * 3);
    };
    let drawn = -1; // right end of what is drawn: pieces that add no pixel are left out
    let at = lastUpTo(starts, begin);
    for (; at < pieces.length && poses.times[pieces[at].from] <= end; at++) {
      const piece = pieces[at];
      const from = Math.max(this.x(poses.times[piece.from]), GUTTER), to = Math.min(this.x(end_of(piece)), wide);
      if (to <= GUTTER || to - drawn < 0.5) continue;
      drawn = to;
      const width = Math.max(to - from, 1.5);
      context.globalAlpha = piece.origin === OBSERVED ? 1 : 0.5;
      context.fillStyle = this.colour(id);
      context.fillRect(from, y + 3, width, ROW - 6);
      context.globalAlpha = 1;
      if (piece.origin === 1) {
        context.fillStyle = this.hatch ??= hatched(context, ink("--hatch"));
        context.fillRect(from, y + 3, width, ROW - 6);
      }
    }
    context.fillStyle = ink("--card");
    context.fillRect(0, y, GUTTER, ROW);
    context.fillStyle = this.colour(id);
    context.beginPath();
    context.arc(9, y + ROW / 2, 5, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = ink("--ink");
    context.font = `${chosen < 0 ? 400 : 700} 12px system-ui, sans-serif`;
    context.fillText(`${id}${["A", "B"][chosen] ? ` ${["A", "B"][chosen]}` : ""}`, 18, y + ROW / 2 + 0.5, GUTTER - 20);
  }

  drawCuts(ink, wide, high) {
    const { context } = this;
    context.strokeStyle = ink("--soft");
    context.setLineDash([3, 3]);
    for (const frame of this.cuts) {
      const x = this.x(this.poses.times[frame]);
      if (x < GUTTER || x > wide) continue;
      context.beginPath();
      context.moveTo(x, AXIS + MARKS);
      context.lineTo(x, high);
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawAxis(ink, wide, high) {
    const { context } = this;
    context.fillStyle = ink("--card");
    context.fillRect(0, 0, wide, AXIS);
    const least = this.length / (this.plot * this.zoom) * 74;
    const step = TICK_SECONDS.find((seconds) => seconds >= least) ?? Math.ceil(least / 36000) * 36000;
    context.fillStyle = ink("--soft");
    context.font = "11px system-ui, sans-serif";
    for (let i = Math.ceil(this.seconds(GUTTER) / step); i * step <= this.seconds(wide); i++) {
      const x = this.x(i * step);
      context.fillRect(x, AXIS - 5, 1, 5);
      const text = (i < 0 ? "−" : "") + clockText(Math.abs(i) * step, 2).replace(/\.0$/, "");
      if (x + 4 + context.measureText(text).width <= wide) context.fillText(text, x + 3, AXIS / 2);
    }
  }

  drawMarks(ink, wide, high) {
    const { context, poses } = this, y = AXIS;
    context.fillStyle = ink("--card");
    context.fillRect(0, y, wide, MARKS);
    for (const doubt of this.look.doubts) {
      const x = this.x(poses.times[doubt.frame]);
      if (x < GUTTER - 6 || x > wide + 6) continue;
      context.globalAlpha = doubt === this.look.doubt ? 1 : 0.3 + 0.7 * doubt.confidence;
      context.fillStyle = doubt === this.look.doubt ? ink("--ink") : ink("--mark");
      context.beginPath();
      context.moveTo(x - 5.5, y + 3);
      context.lineTo(x + 5.5, y + 3);
      context.lineTo(x, y + MARKS - 3);
      context.fill();
    }
    context.globalAlpha = 1;
    context.fillStyle = ink("--accent");
    for (const edit of this.look.edits) context.fillRect(this.x(poses.times[edit.frame]) - 3.5, y + 6, 7, 7);
    context.fillStyle = ink("--card");
    context.fillRect(0, 0, GUTTER - 7, AXIS + MARKS);
    if (!poses.T) return;
    const head = this.x(poses.times[this.look.frame]);
    if (head < GUTTER - 1) return;
    context.fillStyle = ink("--ink");
    context.fillRect(head - 0.75, 0, 1.5, high);
    context.beginPath();
    context.moveTo(head - 6, 0);
    context.lineTo(head + 6, 0);
    context.lineTo(head, 9);
    context.fill();
  }

  listen() {
    const { canvas, holder } = this;
    const place = (event) => {
      const bounds = canvas.getBoundingClientRect();
      return [event.clientX - bounds.left, event.clientY - bounds.top];
    };
    const seek = (x) => this.on.seek(nearest(this.poses.times, this.seconds(x) - this.step / 2));
    let scrubbing = false;
    canvas.addEventListener("pointerdown", (event) => {
      const [x, y] = place(event);
      if (event.pointerType === "touch" || event.button || y > AXIS) return; // a finger scrolls
      scrubbing = true;
      canvas.setPointerCapture(event.pointerId);
      seek(x);
    });
    canvas.addEventListener("pointermove", (event) => { if (scrubbing) seek(place(event)[0]); });
    canvas.addEventListener("pointerup", () => { scrubbing = false; });
    canvas.addEventListener("pointercancel", () => { scrubbing = false; });
    canvas.addEventListener("click", (event) => {
      const [x, y] = place(event);
      if (y <= AXIS) return seek(x);
      if (y <= AXIS + MARKS) {
        const away = (doubt) => Math.abs(this.x(this.poses.times[doubt.frame]) - x);
        const best = [...this.look.doubts].sort((one, other) => away(one) - away(other))[0];
        return best && away(best) < 14 ? this.on.doubt(best) : seek(x);
      }
      const lane = this.lanes[Math.floor((y - AXIS - MARKS + holder.scrollTop) / ROW)];
      if (lane) this.on.pick(lane.id);
      if (x > GUTTER) seek(x);
    });
    holder.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 200), place(event)[0]);
    }, { passive: false });
    holder.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by || !this.lanes.length) return;
      event.preventDefault();
      const now = this.lanes.findIndex((lane) => lane.id === this.look.selected[0]);
      const next = now < 0 ? 0 : Math.min(Math.max(now + by, 0), this.lanes.length - 1);
      this.on.only(this.lanes[next].id);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.hatch = null; this.draw(); });
  }
}

/** Diagonal lines. */
function hatched(context, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1.1;
  pen.beginPath();
  for (const shift of [-6, 0, 6]) { pen.moveTo(shift, 6); pen.lineTo(shift + 6, 0); }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}
