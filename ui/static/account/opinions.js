// The listener's opinions: likes, dislikes, wishes for more or less, also of words, muted names, adventure. Each change is sent as an
// event; the server's answer counts, and until it comes the page shows what was changed here. Pure logic.

import { spellingKey } from "./names.js";

/** @typedef {"like" | "dislike" | "more" | "less"} OpinionWord */
/** @typedef {{ id: string, title: string }} OpinionTrack */

/**
 * What the server knows. Opinions stand by track id, as words with a blank between them: "like more".
 * @typedef {object} ServerOpinions
 * @property {Record<string, string>} [opinions] missing: unchanged since the last answer
 * @property {string[] | null} [muted] "artist:Bach", "genre:Polka", "tag:sad"
 * @property {Record<string, string> | null} [wishes] "more" or "less" by "tag:mellow"
 * @property {number | null} [adventure] from 0, familiar, to 1, adventurous; null where it was never set
 */

/**
 * @typedef {object} OpinionsOptions
 * @property {(event: object) => void} send
 * @property {(message: string, undo: () => void, trackId?: string) => void} announce trackId: of the track it is about
 * @property {() => void} onChange
 */

/** @type {Record<OpinionWord, "verdict" | "wish">} a track has at most one opinion of each kind */
const KINDS = { like: "verdict", dislike: "verdict", more: "wish", less: "wish" };
const PHRASES = { like: "Liked", dislike: "Disliked", more: "More like", less: "Less like" };
const BALANCED = 0.5;

export class Opinions {
  /** @type {Record<string, string>} by track id, from the server */
  #confirmed = {};
  /** @type {Map<string, OpinionWord[]>} by track id, sent and not yet confirmed */
  #pending = new Map();
  /** @type {Map<string, { word: OpinionWord, undo: () => void }>} by track id, the latest one that was set on this page */
  #latest = new Map();
  /** @type {Map<string, boolean | string | number>} of targets and "adventure": sent and not yet confirmed, as in #pending */
  #pendingSteering = new Map();
  /** @type {string[]} */
  muted = [];
  /** @type {Record<string, string>} "more" or "less" by "tag:mellow" */
  wishes = {};
  adventure = BALANCED;

  /** @param {OpinionsOptions} options */
  constructor({ send, announce, onChange }) {
    this.send = send;
    this.announce = announce;
    this.onChange = onChange;
  }

  /**
   * @param {string} trackId
   * @param {OpinionWord} word
   */
  has(trackId, word) {
    return this.#words(trackId).includes(word);
  }

  /** @param {OpinionWord} word */
  count(word) {
    const ids = new Set([...Object.keys(this.#confirmed), ...this.#pending.keys()]);
    return [...ids].filter((id) => this.has(id, word)).length;
  }

  /** @param {string} target "artist:Bach", in any spelling */
  isMuted(target) {
    return this.muted.some((other) => isSameName(other, target));
  }

  /** @param {{ id: string, artistToMute?: string, genreToMute?: string }} track disliked, or by a muted artist or of a muted genre */
  rejects({ id, artistToMute, genreToMute }) {
    const isMuted = (/** @type {string} */ kind, /** @type {string | undefined} */ name) =>
      Boolean(name) && this.isMuted(`${kind}:${name}`);
    return this.has(id, "dislike") || isMuted("artist", artistToMute) || isMuted("genre", genreToMute);
  }

  /** @param {ServerOpinions} answer */
  update({ opinions, muted, wishes, adventure }) {
    if (opinions === undefined) return;
    this.#confirmed = opinions;
    for (const [trackId, words] of this.#pending) {
      if (isSameSet(split(opinions[trackId]), words)) this.#pending.delete(trackId);
    }
    this.muted = muted ?? [];
    this.wishes = wishes ?? {};
    this.adventure = adventure ?? BALANCED;
    this.#applyPendingSteering();
    this.onChange();
  }

  /** What the server has not counted yet holds on the page. */
  #applyPendingSteering() {
    for (const [key, value] of this.#pendingSteering) {
      const word = this.wishes[key] ?? "";
      const confirmed = key === "adventure" ? this.adventure : typeof value === "boolean" ? this.isMuted(key) : word;
      if (confirmed === value) this.#pendingSteering.delete(key);
      else if (typeof value === "number") this.adventure = value;
      else if (typeof value === "boolean") this.#putMuted(key, value);
      else this.#putWish(key, value);
    }
  }

  /**
   * @param {string} target
   * @param {boolean} isMuted
   */
  #putMuted(target, isMuted) {
    const others = this.muted.filter((other) => !isSameName(other, target));
    this.muted = isMuted ? [...others, target] : others;
  }

  /**
   * @param {string} target
   * @param {string} word empty: none
   */
  #putWish(target, word) {
    const others = Object.entries(this.wishes).filter(([other]) => other !== target);
    this.wishes = Object.fromEntries(word ? [...others, [target, word]] : others);
  }

  /** Another listener has come. */
  clear() {
    this.#confirmed = {};
    this.#pending.clear();
    this.#latest.clear();
    this.#pendingSteering.clear();
    this.muted = [];
    this.wishes = {};
    this.adventure = BALANCED;
    this.onChange();
  }

  /**
   * Sets an opinion in place of one of the same kind; one that is set already is removed.
   * @param {OpinionWord} word
   * @param {OpinionTrack} track
   * @param {object} context fields of the event: position, source and the like
   * @returns {boolean} whether it is set now
   */
  toggle(word, track, context) {
    const before = this.#words(track.id);
    const others = before.filter((other) => KINDS[other] !== KINDS[word]);
    if (before.includes(word)) {
      this.#change(track, before, others, context);
      return false;
    }
    this.#change(track, before, [...others, word], context);
    const undo = () => this.#change(track, this.#words(track.id), before, context);
    this.#latest.set(track.id, { word, undo });
    this.announce(`${PHRASES[word]} “${track.title}”.`, undo, track.id);
    return true;
  }

  /**
   * Takes an opinion back. Where it was set on this page, what stood before it stands again.
   * @param {OpinionWord} word
   * @param {OpinionTrack} track
   * @param {object} context fields of the event
   */
  takeBack(word, track, context) {
    const latest = this.#latest.get(track.id);
    if (!this.has(track.id, word)) return;
    if (latest?.word === word) latest.undo();
    else this.toggle(word, track, context);
    this.#latest.delete(track.id);
  }

  /**
   * @param {string} target "artist:Bach"
   * @param {boolean} [isToMute]
   */
  mute(target, isToMute = true) {
    if (isToMute === this.isMuted(target)) return;
    const targets = isToMute ? [target] : this.muted.filter((other) => isSameName(other, target));
    for (const each of targets) this.send({ action: isToMute ? "mute" : "unmute", target: each });
    this.#pendingSteering.set(target, isToMute);
    this.#putMuted(target, isToMute);
    this.onChange();
    this.announce(`${nameOf(target)} ${isToMute ? "muted" : "unmuted"}.`, () => this.mute(target, !isToMute));
  }

  /**
   * Sets the wish for a word; one that is set already is taken back.
   * @param {string} target "tag:mellow"
   * @param {string} word "more" or "less"
   */
  wish(target, word) {
    const before = this.wishes[target];
    const isSet = before !== word;
    this.#setWish(target, isSet ? word : undefined);
    if (isSet) this.announce(`${wishName(target, word)} in your recommendations.`, () => this.#setWish(target, before));
  }

  /**
   * @param {string} target
   * @param {string | undefined} word undefined: none
   */
  #setWish(target, word) {
    this.#pendingSteering.set(target, word ?? "");
    this.#putWish(target, word ?? "");
    this.send({ action: word ?? "neutral", target });
    this.onChange();
  }

  /** @param {number} value from 0, familiar, to 1, adventurous */
  setAdventure(value) {
    const before = this.adventure;
    if (value === before) return;
    this.adventure = value;
    this.#pendingSteering.set("adventure", value);
    this.send({ action: "adventure", target: value.toFixed(2) });
    this.onChange();
    const direction = value > before ? "adventurous" : "familiar";
    this.announce(`Recommendations become more ${direction}.`, () => this.setAdventure(before));
  }

  /**
   * Sends the events that lead from one set of opinions to another.
   * @param {OpinionTrack} track
   * @param {OpinionWord[]} before
   * @param {OpinionWord[]} after
   * @param {object} context
   */
  #change(track, before, after, context) {
    for (const action of actionsBetween(before, after)) this.send({ track_id: track.id, action, ...context });
    this.#pending.set(track.id, after);
    this.onChange();
  }

  /** @param {string} trackId */
  #words(trackId) {
    return this.#pending.get(trackId) ?? split(this.#confirmed[trackId]);
  }
}

/**
 * The actions that lead from one set of opinions to another. "unlike" removes a verdict; "neutral" is the only action
 * that removes a wish, and it removes the verdict too, so what stays is sent again.
 * @param {OpinionWord[]} before
 * @param {OpinionWord[]} after
 */
export function actionsBetween(before, after) {
  const isRemoved = (/** @type {"verdict" | "wish"} */ kind) =>
    before.some((word) => KINDS[word] === kind) && !after.some((word) => KINDS[word] === kind);
  if (isRemoved("wish")) return ["neutral", ...after];
  const added = after.filter((word) => !before.includes(word));
  return isRemoved("verdict") ? ["unlike", ...added] : added;
}

/** @param {string} target "Bach" for "artist:Bach" */
export const nameOf = (target) => target.slice(target.indexOf(":") + 1);

/**
 * "More mellow" for "tag:mellow" and "more".
 * @param {string} target
 * @param {string} word
 */
export const wishName = (target, word) => `${word === "more" ? "More" : "Less"} ${nameOf(target)}`;

/**
 * Whether two targets are the same, but for case, blanks and diacritics.
 * @param {string} a
 * @param {string} b
 */
const isSameName = (a, b) => folded(a) === folded(b);

/** @param {string} target */
const folded = (target) => `${target.slice(0, target.indexOf(":"))}:${spellingKey(nameOf(target))}`;

/**
 * @param {string | undefined} words
 * @returns {OpinionWord[]}
 */
const split = (words) => /** @type {OpinionWord[]} */ ((words ?? "").split(" ").filter(Boolean));

/**
 * @param {string[]} a
 * @param {string[]} b
 */
const isSameSet = (a, b) => a.length === b.length && a.every((word) => b.includes(word));
