// The menu of a track: what can be done with it besides the buttons of its card.

import { pathTo } from "./address.js";
import { showWhy } from "./discover/why.js";
import { previousId } from "./library/playlist-rows.js";
import { openPlaylistDialog, openPlaylistId, removeFromPlaylist } from "./library/playlists.js";
import { find } from "./page/dom.js";
import { toast } from "./page/messages.js";

/** @typedef {import("./track.js").Track} Track */
/** @typedef {import("./page/menu.js").MenuItem} MenuItem */

/**
 * What the menu needs of the rest of the page.
 * @typedef {object} MenuContext
 * @property {import("./playback/queue/queue.js").Queue} queue
 * @property {import("./account/opinions.js").Opinions} opinions
 * @property {(word: "dislike" | "more" | "less", track: Track) => void} toggleOpinion
 * @property {(seed: "track", id: string) => void} startRadio
 * @property {(id: string) => void} showSimilar
 * @property {(id: string, title: string) => void} startPath
 * @property {(address: string) => void} navigate
 */

/**
 * @param {Track} track
 * @param {MenuContext} context
 * @returns {MenuItem[]}
 */
export function trackMenu(track, { queue, opinions, toggleOpinion, startRadio, showSimilar, startPath, navigate }) {
  const { id, title } = track;
  const inOpenPlaylist = track.source === "playlist" && openPlaylistId() !== null;
  const inOwnList = track.source === "for-you" && find("#for-you")?.dataset.personal === "true";
  const playNext = () => {
    queue.addNext(track);
    toast(`“${title}” plays next.`);
  };
  const addToQueue = () => {
    queue.add(track);
    toast(`“${title}” added to the queue.`);
  };
  const opinion = (/** @type {"dislike" | "more" | "less"} */ word, /** @type {string} */ label) => ({
    label,
    action: () => toggleOpinion(word, track),
    isChecked: opinions.has(id, word),
  });
  const goTo = (/** @type {"album" | "artist"} */ kind, /** @type {string} */ key) => ({
    label: `Go to ${kind}`,
    action: () => navigate(`#${pathTo(kind, key)}`),
  });
  return [
    { label: "Play next", action: playNext },
    { label: "Add to queue", action: addToQueue },
    { label: "Add to playlist …", action: () => openPlaylistDialog([track]) },
    ...(inOpenPlaylist ? [{ label: "Remove from playlist", action: () => removeFromPlaylist(track, previousOf(id)) }] : []),
    opinion("dislike", "Dislike"),
    opinion("more", "More like this"),
    opinion("less", "Less like this"),
    ...(track.artistToMute ? [muteItem("artist", track.artistToMute, opinions)] : []),
    ...(track.genreToMute ? [muteItem("genre", track.genreToMute, opinions)] : []),
    { label: "Similar tracks", action: () => showSimilar(id) },
    { label: "Start radio", action: () => startRadio("track", id) },
    { label: "Song path from this track …", action: () => startPath(id, `${title} · ${track.artist}`) },
    ...(inOwnList ? [{ label: "Why this track", action: () => showWhy(id) }] : []),
    ...(track.albumId ? [goTo("album", track.albumId)] : []),
    ...(track.artistToMute ? [goTo("artist", track.artistToMute)] : []),
    { label: "Track details", action: () => navigate(`#${pathTo("track", id)}`) },
  ];
}

/**
 * @param {"artist" | "genre"} kind
 * @param {string} name
 * @param {import("./account/opinions.js").Opinions} opinions
 * @returns {MenuItem}
 */
function muteItem(kind, name, opinions) {
  const target = `${kind}:${name}`;
  const isMuted = opinions.isMuted(target);
  const label = `${isMuted ? "Unmute" : "Mute"} ${kind}: ${name}`;
  return { label, action: () => opinions.mute(target, !isMuted) };
}

/**
 * The id of the track before one in the playlist whose page is open.
 * @param {string} id
 */
function previousOf(id) {
  const row = find(`.playlist-rows > [data-track-id="${CSS.escape(id)}"]`);
  return row ? previousId(row) : null;
}
