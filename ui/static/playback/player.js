// Playback: what is heard, outside of what Gradio redraws; what follows it, and what is reported of it.

import { toast } from "../page/messages.js";
import { showTitle } from "../page/title.js";
import { SavedPosition } from "./sound/saved-position.js";
import { SleepTimer } from "./sound/sleep-timer.js";
import { TrackSound } from "./sound/track-sound.js";
import { Bar } from "./bar/bar.js";
import { Following } from "./queue/following.js";
import { LeftTracks } from "./queue/left-tracks.js";
import { wireMediaSession } from "./bar/media-session.js";
import { wireBar } from "./bar/wire-bar.js";
import { PlayReporter, playEvent } from "./play-reporter.js";
import { loadVolume, saveVolume } from "./queue/saved-playback.js";
import { Waveform } from "./bar/waveform.js";

/** @typedef {import("../track.js").Track} Track */

const RESTART_AFTER_MS = 3000; // later in a track, "previous" goes to its beginning
const SKIP_UNPLAYABLE_MS = 1200; // the message can be read meanwhile
const MAX_UNPLAYABLE_TRACKS = 5; // after so many in a row, playback stops
const PREPARE_S = 20; // the next track is loaded so long before this one ends, or fades
const SLEEP_FADE_S = 8;

/**
 * @typedef {object} PlayerOptions
 * @property {number} completeShare share of a track from which it counts as complete, from 0 to 1
 * @property {import("./queue/queue.js").Queue} queue
 * @property {import("./settings.js").PlaybackSettings} settings
 * @property {() => Track[]} forYou the tracks of "For you" in the order in which they follow
 * @property {(event: object) => void} send sends a listening event
 * @property {(action: "like" | "dislike" | "similar" | "menu", track: Track, button: HTMLElement) => void} onButton
 * @property {() => void} onChange called when track, state or position changed
 */

export class Player {
  /** @type {Track | null} */
  track = null;
  #left = new LeftTracks();
  #unplayableInRow = 0;
  #position = new SavedPosition(
    () => ({ track: this.reporter.isAttributed ? this.track : null, positionMs: this.positionMs, durationMs: this.durationMs }),
    () => this.onChange(),
  );

  /** @param {PlayerOptions} options */
  constructor({ completeShare, queue, settings, forYou, send, onButton, onChange }) {
    this.queue = queue;
    this.settings = settings;
    this.following = new Following(queue, forYou);
    this.onChange = onChange;
    this.reporter = new PlayReporter(completeShare, (action) => {
      if (this.track) send(playEvent(action, this.track, this.positionMs, this.durationMs));
    });
    this.bar = new Bar();
    this.sound = new TrackSound(this.bar.part("audio", HTMLAudioElement), settings);
    this.sound.pair.volume = loadVolume();
    this.sleepTimer = new SleepTimer(() => this.sound.pair.fadeOutAndPause(SLEEP_FADE_S));
    this.waveform = new Waveform(this.bar.part("waveform", HTMLCanvasElement));
    wireBar(this, onButton);
    this.#wireAudio();
    wireMediaSession(this);
    this.bar.showVolume(this.sound.pair);
    this.showModes();
  }

  /** The element that is heard. */
  get audio() {
    return this.sound.audio;
  }

  get isPlaying() {
    return this.track !== null && !this.audio.paused;
  }

  get positionMs() {
    return this.sound.positionMs;
  }

  get durationMs() {
    const seconds = this.audio.duration;
    return Number.isFinite(seconds) && seconds > 0 ? Math.round(seconds * 1000) : this.track?.durationMs || null;
  }

  /** Ids of the tracks that were started, the current one last. */
  get startedIds() {
    return this.track ? [...this.#left.ids, this.track.id] : this.#left.ids;
  }

  toggle() {
    if (!this.track) this.next();
    else this.sound.toggle();
  }

  /**
   * Plays what follows.
   * @param {boolean} [isSkip] whether the listener has asked for it
   */
  next(isSkip = true) {
    const track = this.following.take();
    if (track) this.#start(track, { isSkip });
    else toast("Nothing to play next.");
  }

  /** @param {number} positionMs in the track */
  seek(positionMs) {
    this.sound.positionMs = positionMs;
    this.showTime();
  }

  /** Plays the track before this one, which then follows again; later in a track, its beginning. */
  previous() {
    const track = this.positionMs > RESTART_AFTER_MS ? undefined : this.#left.takeHeard();
    if (track) {
      if (this.track) this.queue.putBack(this.track);
      this.#start(track, { isGoingBack: true });
    } else this.seek(0);
  }

  /**
   * Plays a track that the queue shows, now.
   * @param {import("./queue/queue.js").Part} part
   * @param {number} position in the part
   */
  playUpcoming(part, position) {
    const track = this.following.takeAt(part, position);
    if (track) this.#start(track);
  }

  /**
   * Plays a track of a list, which follows from then on; where it is the current one, pauses or resumes.
   * @param {import("./queue/queue.js").PlayContext} context
   * @param {Track[]} tracks
   * @param {string | null} startId null: the first, with shuffle any
   * @returns {(() => void) | null} brings back what this replaced; null where nothing of a list is lost
   */
  playFrom(context, tracks, startId) {
    if (startId !== null && this.track?.id === startId && !this.audio.ended) {
      this.toggle();
      return null;
    }
    const undo = this.queue.list.length ? this.undoable() : null;
    const track = this.queue.playFrom(context, tracks, startId);
    if (track) this.#start(track);
    return undo;
  }

  /** A function that brings back queue, track, place and whether it plays, as they are now. */
  undoable() {
    const [queue, track, positionMs, isPlaying] = [this.queue.snapshot(), this.track, this.positionMs, this.isPlaying];
    return () => {
      this.queue.restore(queue);
      if (track && (this.track !== track || this.audio.ended)) this.load(track, positionMs, isPlaying);
    };
  }

  /**
   * Puts a track in place at a position.
   * @param {Track} track
   * @param {number} positionMs
   * @param {boolean} [isToPlay]
   */
  load(track, positionMs, isToPlay = false) {
    this.#start(track, { isGoingBack: true, isToPlay, positionMs });
  }

  /**
   * Another device of the listener's has changed the queue. What plays here goes on, in its list; only own additions are taken over.
   * @param {import("./queue/queue-wire.js").Playback} playback
   */
  adopt({ queue, track }) {
    if (this.isPlaying) return this.queue.restore({ ...this.queue.state(), items: queue.items });
    this.queue.restore(queue);
    if (!track) this.unload();
    else if (track.id !== this.track?.id) this.load(track, track.positionMs ?? 0);
  }

  /** The listener has changed: stops attributing playback, and forgets what was played. */
  stopAttributing() {
    this.reporter.stopAttributing();
    this.sound.pause();
    this.#left.clear();
  }

  /** Nothing is in place any more: the listener has changed. */
  unload() {
    if (!this.track) return;
    this.reporter.leave();
    this.track = null;
    this.sound.unload();
    this.waveform.clear();
    this.bar.showNothing();
    showTitle({ track: "" });
    this.#showState();
  }

  /** What plays is the listener's who has just been chosen. */
  attributePlayback() {
    if (this.isPlaying) this.reporter.attribute();
  }

  showModes() {
    this.bar.showModes(this.queue);
  }

  /**
   * @param {Track} track
   * @param {{ isGoingBack?: boolean, isToPlay?: boolean, positionMs?: number, isSkip?: boolean, fadeS?: number }} [options]
   */
  #start(track, { isGoingBack = false, isToPlay = true, positionMs = 0, isSkip = false, fadeS = 0 } = {}) {
    this.reporter.leave(isSkip);
    if (this.track && !isGoingBack) this.#left.add(this.track, this.reporter.wasHeard);
    this.track = track;
    this.reporter.start();
    this.#position.start();
    this.following.start();
    this.waveform.load(track.id);
    this.sound.start(track, positionMs, isToPlay, fadeS);
    this.bar.showTrack(track);
    showTitle({ track: `${track.title} · ${track.artist}` });
    this.showTime();
    this.onChange();
  }

  /** Near the end: loads what follows, and with crossfade starts it. */
  #prepareNext() {
    const { duration, currentTime, paused } = this.audio;
    const leftS = duration - currentTime;
    const fadeS = Math.min(this.settings.values.crossfadeS, duration / 3);
    if (!(leftS < PREPARE_S + fadeS) || paused || this.queue.repeat === "one") return;
    const next = this.following.prepare();
    if (!next || next.id === this.track?.id) return;
    this.sound.prepare(next);
    if (fadeS <= 0 || leftS > fadeS || this.sleepTimer.setting === "track") return;
    this.reporter.progress(duration * 1000, duration * 1000); // what fades out was played to its end
    this.#advance(fadeS);
  }

  /**
   * The track has ended by itself, or fades out.
   * @param {number} [fadeS]
   */
  #advance(fadeS = 0) {
    const isToPlay = !this.sleepTimer.takeEndOfTrack();
    const again = this.queue.repeat === "one" ? this.track : null;
    const track = again ?? this.following.take();
    if (track) this.#start(track, { isGoingBack: again !== null, isToPlay, fadeS });
  }

  #wireAudio() {
    const sound = this.sound.pair;
    sound.on("playing", () => {
      this.#unplayableInRow = 0;
      if (this.track) this.reporter.sound();
    });
    sound.on("timeupdate", () => {
      this.reporter.progress(this.positionMs, this.durationMs);
      this.#position.tick();
      this.showTime();
      this.#prepareNext();
    });
    sound.on("ended", () => this.#advance());
    sound.on("pause", () => {
      if (!this.audio.ended && !this.audio.error) this.#position.save();
    });
    addEventListener("pagehide", () => this.#position.save());
    sound.on("error", () => this.#recover());
    for (const event of ["play", "pause", "ended"]) sound.on(event, () => this.#showState());
    for (const event of ["durationchange", "seeked"]) sound.on(event, () => this.showTime());
  }

  /** @param {{ volume?: number, isMuted?: boolean }} change */
  setVolume({ volume = this.sound.pair.volume, isMuted = false }) {
    Object.assign(this.sound.pair, { volume, muted: isMuted });
    this.bar.showVolume(this.sound.pair);
    saveVolume(volume);
  }

  /** No sound came: what cannot be played is skipped, some tracks in a row at most. */
  async #recover() {
    const { track } = this;
    if (!(await this.sound.recover()) || this.track !== track || !track) return;
    toast(`“${track.title}” cannot be played.`);
    this.#unplayableInRow += 1;
    const skip = () => this.track === track && this.next(false);
    if (this.#unplayableInRow < MAX_UNPLAYABLE_TRACKS) setTimeout(skip, SKIP_UNPLAYABLE_MS);
    this.#showState();
  }

  #showState() {
    this.bar.showState(this.isPlaying);
    this.onChange();
  }

  showTime() {
    this.waveform.showPosition(this.bar.showTime(this.positionMs, this.durationMs));
  }
}
