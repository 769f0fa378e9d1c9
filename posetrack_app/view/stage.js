// Draws a frame of the video and its people onto one canvas, so that they are always in step.

const TRAIL_SECONDS = 2;
const TRAIL_GAP_SECONDS = 0.5;

class Stage {
  constructor(canvas, { poses, skeleton, width, height, colour }) {
    Object.assign(this, { canvas, poses, skeleton, width, height, colour });
    this.context = canvas.getContext("2d");
    this.picture = null; // what lies under the people, a canvas; black where there is none
  }

  /** Keep the picture that a video shows now: people who are drawn later are drawn over the same. */
  take(video) {
    // An odd size was made even by one row and column.
    const padded = [video.videoWidth - this.width, video.videoHeight - this.height].every((more) => more === 0 || more === 1);
    const [wide, high] = padded ? [this.width, this.height] : [video.videoWidth, video.videoHeight];
    this.picture ??= document.createElement("canvas");
    if (this.picture.width !== wide || this.picture.height !== high) [this.picture.width, this.picture.height] = [wide, high];
    this.picture.getContext("2d").drawImage(video, 0, 0);
  }

  /** Draw.
   *
   * @param look {ids: (R,), frame, show: {skeletons, ids, boxes, trails, others}, selected: [a, b]}
   */
  draw(look) {
    const scale = this.fit();
    const context = this.context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.picture) context.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(scale, 0, 0, scale, scale / 2, scale / 2); // (0, 0) is the centre of the first pixel
    context.lineCap = context.lineJoin = "round";
    this.unit = 1 / scale; // a pixel of the screen
    const shown = [...this.poses.at(look.frame)]
      .filter((row) => look.ids[row] >= 0 || (look.ids[row] === NOBODY && look.show.others))
      .map((row) => ({ row, id: look.ids[row], box: this.poses.box(row) }))
      .filter(({ box }) => box)
      .sort((one, other) => tall(one.box) - tall(other.box)); // the nearer over the farther
    if (look.show.trails) for (const one of shown) this.drawTrail(one, look);
    for (const one of shown) {
      const chosen = look.selected.includes(one.id);
      context.globalAlpha = this.poses.origin[one.row] === OBSERVED ? 1 : 0.55;
      if (look.show.skeletons) this.drawSkeleton(one);
      if (look.show.boxes || chosen) this.drawBox(one, chosen);
    }
    context.globalAlpha = 1;
    const labels = []; // over everything, none over another
    for (const one of shown) {
      const chosen = look.selected.indexOf(one.id);
      if ((look.show.ids || chosen >= 0) && one.id >= 0) this.drawLabel(one, chosen, labels);
    }
    this.shown = shown;
  }

  /** Give the canvas the pixels of the screen; what a pixel of the frame measures in them. */
  fit() {
    const wide = Math.max(1, Math.round(this.canvas.clientWidth * Math.min(devicePixelRatio || 1, 2)));
    const high = Math.max(1, Math.round(wide * this.height / this.width));
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    return wide / this.width;
  }

  /** Half of the width of a limb, pixels of the frame. */
  radius(box) {
    return Math.min(Math.max(0.09 * (tall(box) / 4) ** 0.75, 0.8 * this.unit), 7 * Math.max(this.unit, 1));
  }

  drawSkeleton({ row, id, box }) {
    const { context, poses } = this;
    const radius = this.radius(box), observed = poses.origin[row] === OBSERVED;
    const lines = this.skeleton.limbs
      .filter(([a, b]) => poses.found(row, a) && poses.found(row, b))
      .map(([a, b]) => [poses.place(row, a), poses.place(row, b)]);
    const [nose, left, right] = this.skeleton.neck;
    if (nose !== undefined && [nose, left, right].every((joint) => poses.found(row, joint))) {
      lines.push([poses.place(row, nose), poses.centre(row, [left, right])]);
    }
    context.setLineDash(observed ? [] : [4 * radius, 4 * radius]);
    for (const [style, width] of [["#000a", 2 * radius + 2 * this.unit], [this.colour(id), 2 * radius]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      for (const [from, to] of lines) { context.moveTo(...from); context.lineTo(...to); }
      context.stroke();
    }
    context.setLineDash([]);
    context.fillStyle = this.colour(id);
    context.strokeStyle = "#000a";
    context.lineWidth = this.unit;
    for (let joint = 0; joint < poses.K; joint++) {
      if (!poses.found(row, joint)) continue;
      context.beginPath();
      context.arc(...poses.place(row, joint), radius * (0.7 + 0.1 * poses.level[row * poses.K + joint]), 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  drawBox({ id, box }, chosen) {
    const [x0, y0, x1, y1] = roomy(box);
    const strokes = chosen ? [["#000c", 8], ["#fff", 6], [this.colour(id), 3]] : [["#000a", 4], [this.colour(id), 2]];
    for (const [style, width] of strokes) {
      this.context.strokeStyle = style;
      this.context.lineWidth = width * this.unit;
      this.context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  drawLabel({ id, box }, chosen, labels) {
    const { context, unit } = this;
    const [x0, y0, x1] = roomy(box);
    const text = `${id}${chosen < 0 ? "" : chosen ? " B" : " A"}`;
    context.font = `700 ${13 * unit}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 8 * unit, high = 17 * unit;
    const x = Math.min(Math.max((x0 + x1 - wide) / 2, 0), Math.max(this.width - wide, 0));
    let y = Math.max(y0 - high - unit, 0);
    for (const over of [...labels].sort((one, other) => other.y - one.y)) {
      if (Math.abs(over.y - y) < high && x < over.x + over.wide && over.x < x + wide) y = over.y - high - unit;
    }
    labels.push({ x, y, wide });
    context.fillStyle = this.colour(id);
    context.strokeStyle = "#000a";
    context.lineWidth = unit;
    context.beginPath();
    context.roundRect(x, y, wide, high, 4 * unit);
    context.fill();
    context.stroke();
    context.fillStyle = "#000";
    context.textBaseline = "middle";
    context.fillText(text, x + 4 * unit, y + high / 2 + unit);
  }

  /** Where the hips of a person were in the last seconds. */
  drawTrail({ id, box }, { ids, frame }) {
    if (id < 0) return;
    const { poses, context } = this;
    const now = poses.times[frame];
    let before = null, beforeTime = now;
    context.strokeStyle = this.colour(id);
    for (let f = frame; f >= 0 && now - poses.times[f] <= TRAIL_SECONDS && poses.times[f] <= now; f--) {
      const row = poses.at(f).find((one) => ids[one] === id);
      const place = row === undefined ? null : poses.centre(row, poses.hips);
      if (!place) continue;
      if (before && beforeTime - poses.times[f] < TRAIL_GAP_SECONDS) {
        const young = 1 - (now - poses.times[f]) / TRAIL_SECONDS;
        context.globalAlpha = 0.85 * young;
        context.lineWidth = this.radius(box) * (0.6 + 1.2 * young);
        context.beginPath();
        context.moveTo(...before);
        context.lineTo(...place);
        context.stroke();
      }
      [before, beforeTime] = [place, poses.times[f]];
    }
    context.globalAlpha = 1;
  }

  /** Who is at a place of the page: the identity whose box holds it and whose centre is nearest; null for nobody. */
  who(clientX, clientY) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = (clientX - bounds.left) / bounds.width * this.width, y = (clientY - bounds.top) / bounds.height * this.height;
    let best = null, least = Infinity;
    for (const { row, id, box } of this.shown ?? []) {
      const [x0, y0, x1, y1] = roomy(box);
      const [cx, cy] = this.poses.centre(row);
      const away = Math.hypot(cx - x, cy - y);
      if (id >= 0 && x0 <= x && x <= x1 && y0 <= y && y <= y1 && away < least) [best, least] = [id, away];
    }
    return best;
  }
}

const tall = ([x0, y0, x1, y1]) => Math.hypot(x1 - x0, y1 - y0);

/** Hands, feet and hair reach beyond joints. */
const roomy = (box) => {
  const more = 0.06 * tall(box) + 3;
  return [box[0] - more, box[1] - more, box[2] + more, box[3] + more];
};
