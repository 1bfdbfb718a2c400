// What plays next besides "For you": a list that the listener fills, orders and empties. Knows nothing of the page.

const MOST = 500;

export class Queue {
  /** changed: called after every change;  random: () => a number from 0 to 1 */
  constructor(changed = () => {}, random = Math.random) {
    this.changed = changed;
    this.random = random;
    this.items = [];
    this.played = []; // what came from the queue since it was filled, for "repeat all"
    this.shuffle = false;
    this.repeat = "off"; // off, all, one
  }

  add(...tracks) {
    this.items.push(...tracks.slice(0, Math.max(0, MOST - this.items.length)));
    this.changed();
  }

  addNext(...tracks) {
    this.items.unshift(...tracks.slice(0, Math.max(0, MOST - this.items.length)));
    this.changed();
  }

  fill(tracks) {
    this.items = tracks.slice(0, MOST);
    this.played = [];
    this.changed();
  }

  clear() {
    this.fill([]);
  }

  remove(place) {
    this.items.splice(place, 1);
    this.changed();
  }

  move(from, to) {
    if (to < 0 || to >= this.items.length) return;
    const [track] = this.items.splice(from, 1);
    this.items.splice(to, 0, track);
    this.changed();
  }

  /** The track at a place, or the next one: by order, or with shuffle any. null where the queue is empty. */
  take(place = null) {
    if (!this.items.length && this.repeat === "all") [this.items, this.played] = [this.played, []];
    if (!this.items.length) return null;
    const at = place ?? (this.shuffle ? Math.floor(this.random() * this.items.length) : 0);
    const [track] = this.items.splice(at, 1);
    this.played.push(track);
    if (this.played.length > MOST) this.played.shift();
    this.changed();
    return track;
  }

  toggleShuffle() {
    this.shuffle = !this.shuffle;
    this.changed();
  }

  turnRepeat() {
    this.repeat = { off: "all", all: "one", one: "off" }[this.repeat];
    this.changed();
  }

  state() {
    return { items: this.items, played: this.played, shuffle: this.shuffle, repeat: this.repeat };
  }

  restore({ items = [], played = [], shuffle = false, repeat = "off" } = {}) {
    Object.assign(this, { items, played, shuffle, repeat });
    this.changed();
  }
}
