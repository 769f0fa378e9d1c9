// Corrections by hand: what they do to the identities on this page is what edits.py does to the table.

const OBSERVED = 0;
const NOBODY = -1; // a pose without identity
const GONE = -2; // a predicted or filled pose that lost its identity

/** The list of edits, and the identities that they leave. */
class Edits {
  constructor(poses, tracks) {
    this.poses = poses;
    this.list = [];
    this.first = Math.max(-1, ...tracks) + 1;
    this.reset();
  }

  reset() {
    this.ids = this.poses.track.slice(); // (R,)
    this.free = this.first; // the next identity
  }

  /** Do an edit {verb, a, b, frame}; with `hold`, lines that find its people by their places. Throws an Error. */
  add(edit, hold = false) {
    const done = { ...edit, ...(edit.verb === "split" ? { b: this.free } : {}) };
    const lines = hold ? this.holds(done) : [];
    done.lines = [...lines, this.text(done)];
    this.apply(done);
    this.list.push(done);
    return done;
  }

  undo() {
    const last = this.list.pop();
    this.reset();
    for (const edit of this.list) this.apply(edit);
    return last;
  }

  /** What edits.py reads. */
  text({ verb, a, b, frame }) {
    if (verb === "merge") return `merge ${a} into ${b}`;
    if (verb === "delete") return `delete ${a}`;
    if (verb === "split") return `split ${a} at ${this.time(frame)} as ${b}`;
    return `swap ${a} ${b}` + (frame > 0 ? ` from ${this.time(frame)}` : "");
  }

  time(frame) { return clockText(this.poses.times[frame]); }

  /** Lines `person A at T near x,y`: where each person of an edit is seen, as near in time as possible. */
  holds({ verb, a, b, frame }) {
    return [a, ...(verb === "split" || verb === "delete" ? [] : [b])].map((id) => {
      let best = -1;
      for (let row = 0; row < this.poses.R; row++) {
        if (this.ids[row] !== id || !this.poses.box(row)) continue;
        const away = (one) => Math.abs(this.poses.frame[one] - frame);
        if (best < 0 || away(row) < away(best)) best = row;
      }
      if (best < 0) throw new Error(`there is no ${id}`);
      const place = this.poses.centre(best).map((value) => value.toFixed(1));
      return `person ${id} at ${this.time(this.poses.frame[best])} near ${place}`;
    });
  }

  /** The text of the file. */
  file(command) {
    return [`# ${command}`, ...this.list.flatMap((edit) => edit.lines), ""].join("\n");
  }

  apply(edit) {
    this.require(edit.a);
    ({ swap: this.swap, merge: this.merge, delete: this.delete, split: this.split })[edit.verb].call(this, edit);
  }

  require(id) {
    if (!this.ids.includes(id)) throw new Error(`there is no ${id} any more`);
  }

  /** Rows of an identity from a frame on. */
  rowsOf(id, from = 0) {
    const rows = [];
    this.ids.forEach((one, row) => { if (one === id && this.poses.frame[row] >= from) rows.push(row); });
    return rows;
  }

  swap({ a, b, frame }) {
    this.require(b);
    const [one, other] = [this.rowsOf(a, frame), this.rowsOf(b, frame)];
    if (!one.length && !other.length) throw new Error(`neither ${a} nor ${b} is there from this time on`);
    for (const row of one) this.ids[row] = b;
    for (const row of other) this.ids[row] = a;
  }

  merge({ a, b }) {
    this.require(b);
    const taken = new Map(this.rowsOf(b).map((row) => [this.poses.frame[row], row]));
    const seen = (row) => this.poses.origin[row] === OBSERVED;
    const rows = this.rowsOf(a);
    const clash = rows.filter((row) => seen(row) && taken.has(this.poses.frame[row]) && seen(taken.get(this.poses.frame[row])));
    if (clash.length) {
      const at = timeText(this.poses.times[this.poses.frame[clash[0]]]);
      throw new Error(`${a} and ${b} are both seen in ${clash.length} frames, first at ${at}: split or delete one of them`);
    }
    for (const row of rows) {
      const other = taken.get(this.poses.frame[row]);
      this.ids[row] = b;
      if (other === undefined) continue;
      const { number } = this.poses; // what was seen stays; of two that were not, the first in the table
      this.ids[seen(row) || (!seen(other) && number[row] < number[other]) ? other : row] = GONE;
    }
  }

  delete({ a }) {
    for (const row of this.rowsOf(a)) this.ids[row] = this.poses.origin[row] === OBSERVED ? NOBODY : GONE;
  }

  split({ a, b, frame }) {
    const rows = this.rowsOf(a, frame);
    if (!rows.length) throw new Error(`${a} is not there from this time on`);
    if (rows.length === this.rowsOf(a).length) throw new Error(`${a} begins here: there is nothing before`);
    for (const row of rows) this.ids[row] = b;
    this.free = b + 1;
  }
}
