// The state of a queue, as it goes to the server and comes back, and how changes of two devices become one. Pure logic.

/** @typedef {import("../../track.js").Track} Track */
/** @typedef {import("./queue.js").PlayContext} PlayContext */
/** @typedef {import("./queue.js").Repeat} Repeat */

/**
 * @typedef {object} QueueState
 * @property {Track[]} items the listener's own additions, the next first
 * @property {Track[]} played own additions that were played, for "repeat all" where there is no list
 * @property {PlayContext | null} context null: "For you"
 * @property {Track[]} list what follows of the context, in the order in which it plays
 * @property {Track[]} listPlayed what was played of it
 * @property {string[]} order ids of the whole context, in its own order
 * @property {boolean} shuffle
 * @property {number} seed of the shuffled order
 * @property {Repeat} repeat
 */
/**
 * What is kept of playback: the queue, and the track in place.
 * @typedef {{ queue: QueueState, track: (Track & { positionMs?: number }) | null }} Playback
 */
/**
 * The server's answer.
 * @typedef {Partial<QueueState> & { listener: string, revision: number, device: string,
 *   current: (Track & { positionMs: number }) | null, settings?: import("../settings.js").SentSettings }} StoredQueue
 */

const MAX_SENT_PLAYED = 100;

/**
 * The state of a queue; what is missing is that of an empty one.
 * @param {Partial<QueueState>} [part]
 * @returns {QueueState}
 */
export const queueState = ({
  items = [],
  played = [],
  context = null,
  list = [],
  listPlayed = [],
  order = [],
  shuffle = false,
  seed = 0,
  repeat = "off",
} = {}) => ({ items, played, context, list, listPlayed, order, shuffle, seed, repeat });

/**
 * The body of a request that saves the queue, without revision, listener and device.
 * @param {Playback} playback
 */
export function toWire({ queue, track }) {
  const { items, played, context, list, listPlayed, order, shuffle, seed, repeat } = queue;
  const ids = (/** @type {Track[]} */ tracks) => tracks.map(({ id }) => id);
  const [listed] = [...list, ...listPlayed];
  return {
    current: track && { ...sent(track), position_ms: Math.max(0, Math.round(track.positionMs ?? 0)) },
    items: items.map(sent),
    played: played.slice(-MAX_SENT_PLAYED).map(sent),
    context: context && {
      kind: context.kind || "list",
      id: text(context.id),
      title: text(context.title),
      address: context.address?.startsWith("#/") ? text(context.address) : "",
      source: listed?.source ?? "",
      model_version: listed?.modelVersion || null,
    },
    list_ahead: ids(list),
    list_played: ids(listPlayed),
    order,
    shuffle,
    seed,
    repeat,
  };
}

/**
 * @param {StoredQueue} stored
 * @returns {Playback}
 */
export const fromWire = (stored) => ({ queue: queueState(stored), track: stored.current });

/**
 * One playback of what this page has and what another device has saved, both made from the same. Own additions of both are kept,
 * and what either has played or removed is left out; of list, modes and track, what this page has changed counts.
 * @param {Playback} mine
 * @param {Playback} theirs
 * @param {Playback | null} base null: unknown; nothing counts as removed then
 * @returns {Playback}
 */
export function merged(mine, theirs, base) {
  const isListChanged = !base || !isSame(listOf(mine), listOf(base));
  const isTrackChanged = !base || mine.track?.id !== base.track?.id;
  const hasList = mine.queue.context !== null || mine.track !== null;
  const { items: own, played } = mine.queue;
  const baseItems = base?.queue.items ?? [];
  const added = without(without(theirs.queue.items, baseItems), base ? [] : own);
  const removed = without(baseItems, theirs.queue.items);
  return {
    queue: {
      ...(isListChanged && (base || hasList) ? mine.queue : theirs.queue),
      items: [...without(own, removed), ...added],
      played: isListChanged ? played : theirs.queue.played,
    },
    track: isTrackChanged && mine.track ? mine.track : theirs.track,
  };
}

/**
 * Tracks without others, each other one once: of two copies of a track, one is left where one is to go.
 * @param {Track[]} tracks
 * @param {Track[]} others
 */
function without(tracks, others) {
  const rest = others.map(({ id }) => id);
  return tracks.filter(({ id }) => {
    const position = rest.indexOf(id);
    if (position >= 0) rest.splice(position, 1);
    return position < 0;
  });
}

/** @param {Playback} playback */
function listOf({ queue }) {
  const { context, list, listPlayed, shuffle, seed, repeat } = queue;
  return [context?.kind, context?.id, list.map(({ id }) => id), listPlayed.length, shuffle, seed, repeat];
}

/**
 * @param {unknown} a
 * @param {unknown} b
 */
export const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** @param {Track} track */
const sent = ({ id, source, modelVersion }) => ({ id, source: source ?? "", model_version: modelVersion || null });

const MAX_TEXT = 300;

/** @param {string | undefined} value */
const text = (value) => (value ?? "").slice(0, MAX_TEXT);
