// Unpacks what packing.py packed.
//
// Letters: T frames, R rows (one pose each, sorted by track and frame), K joints.

/** Whole numbers, one after the other, out of a text of `pack_columns`. */
class Numbers {
  static async of(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Numbers(new Uint8Array(await new Response(plain).arrayBuffer()));
  }

  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  next() {
    let value = 0, scale = 1, byte;
    do {
      byte = this.bytes[this.at++];
      value += (byte & 127) * scale; // no shifts: they end at 32 bits
      scale *= 128;
    } while (byte & 128);
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  /** Fills an array with numbers, or with the sums of differences. */
  fill(array, differences = false) {
    for (let i = 0, before = 0; i < array.length; i++) {
      const value = this.next();
      array[i] = before = differences ? before + value : value;
    }
    return array;
  }
}

/** The times at which a video file shows its frames: seconds (T,). */
async function unpackTimes(text, count, ticks) {
  return (await Numbers.of(text)).fill(new Float64Array(count), true).map((tick) => tick / ticks);
}

/** All poses as arrays. */
async function unpackPoses(content) {
  const numbers = await Numbers.of(content.poses);
  const T = content.frames, K = content.skeleton.joints.length;
  const times = numbers.fill(new Float64Array(T), true).map((tick) => tick / content.ticks);
  const counts = numbers.fill(new Int32Array(content.tracks.length));
  const R = counts.reduce((sum, count) => sum + count, 0);
  const track = new Int32Array(R);
  let row = 0;
  content.tracks.forEach((id, i) => track.fill(id, row, row += counts[i]));
  const frame = numbers.fill(new Int32Array(R), true);
  const number = numbers.fill(new Int32Array(R)); // among those of its frame
  const origin = numbers.fill(new Uint8Array(R));
  const byJoint = (array, differences) => { // (K, R) in the text, (R, K) here
    for (let k = 0; k < K; k++) {
      for (let r = 0, before = 0; r < R; r++) {
        const value = numbers.next();
        array[r * K + k] = before = differences ? before + value : value;
      }
    }
    return array;
  };
  const level = byJoint(new Uint8Array(R * K), false);
  const x = byJoint(new Int16Array(R * K), true);
  const y = byJoint(new Int16Array(R * K), true);
  // Rows of frame f: rows[start[f]] .. rows[start[f + 1] - 1].
  const start = new Int32Array(T + 1);
  for (let r = 0; r < R; r++) start[frame[r] + 1]++;
  for (let f = 0; f < T; f++) start[f + 1] += start[f];
  const rows = new Int32Array(R), next = start.slice();
  for (let r = 0; r < R; r++) rows[next[frame[r]]++] = r;
  return new Poses({ T, R, K, step: content.step, hips: content.skeleton.hips, times, track, frame, number, origin, level, x, y, start, rows });
}

/** The poses, and what is asked of them. */
class Poses {
  constructor(fields) { Object.assign(this, fields); }

  /** Rows of a frame. */
  at(frame) {
    return frame < this.T ? this.rows.subarray(this.start[frame], this.start[frame + 1]) : [];
  }

  found(row, joint) { return this.level[row * this.K + joint] > 0; }

  /** Pixels. */
  place(row, joint) {
    const at = row * this.K + joint;
    return [this.x[at] * this.step, this.y[at] * this.step];
  }

  /** Smallest and largest coordinates of the joints that are found; null where there are none. */
  box(row) {
    let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let at = row * this.K; at < (row + 1) * this.K; at++) {
      if (!this.level[at]) continue;
      x0 = Math.min(x0, this.x[at]); x1 = Math.max(x1, this.x[at]);
      y0 = Math.min(y0, this.y[at]); y1 = Math.max(y1, this.y[at]);
    }
    return x0 <= x1 ? [x0, y0, x1, y1].map((value) => value * this.step) : null;
  }

  /** Mean of some joints, of all where none of them is found; null where nothing is. */
  centre(row, joints = null) {
    let [x, y, count] = [0, 0, 0];
    for (const joint of joints ?? Array(this.K).keys()) {
      if (!this.found(row, joint)) continue;
      const place = this.place(row, joint);
      x += place[0]; y += place[1]; count++;
    }
    if (count) return [x / count, y / count];
    return joints ? this.centre(row) : null;
  }
}

/** Position of the last of ascending numbers that is at most `value`; 0 where all are larger. */
function lastUpTo(numbers, value) {
  let low = 0, high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1; else high = middle;
  }
  return Math.max(low - 1, 0);
}

/** Position of the number that is nearest to `value`. */
function nearest(numbers, value) {
  const at = lastUpTo(numbers, value);
  return at + 1 < numbers.length && numbers[at + 1] - value < value - numbers[at] ? at + 1 : at;
}

/** A time as edits.py reads it, with up to four decimals: 00:12.4, 1:00:02.04, -00:00.2. */
function clockText(seconds, decimals = 4) {
  const total = Math.round(Math.abs(seconds) * 10 ** decimals), minute = 60 * 10 ** decimals;
  const minutes = Math.floor(total / minute), hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  const rest = ((total % minute) / 10 ** decimals).toFixed(decimals).padStart(decimals + 3, "0");
  return `${seconds < 0 && total ? "-" : ""}${hours ? `${hours}:` : ""}${two(minutes % 60)}:${rest.replace(/(\.\d+?)0+$/, "$1")}`;
}

/** A time to look at: milliseconds, also before zero. */
function timeText(seconds) {
  const text = clockText(Math.abs(seconds), 3), point = text.indexOf(".");
  return (seconds < 0 ? "−" : "") + text.padEnd(point + 4, "0");
}
