// What the page's buttons do. A button names its action in data-action, and what it is about in other data attributes.

import { pathTo } from "./address.js";
import { get } from "./api.js";
import { openDeleteDataDialog } from "./account/delete-data.js";
import { openListenerDialog } from "./account/listener-dialog.js";
import { openPasswordDialog } from "./account/password.js";
import { rememberPathStart } from "./discover/song-path.js";
import { toggleRecording } from "./discover/sound-search.js";
import { zoomMap } from "./discover/taste-map.js";
import { showEntry } from "./library/paged-list.js";
import { playList, playLoadedAndRest } from "./library/play-list.js";
import { choosePlaylistFile, deletePlaylist, openEditDialog, openPlaylistDialog } from "./library/playlists.js";
import { find, parseHtml, required } from "./page/dom.js";
import { areLettersOn, openKeySheet, switchLetters } from "./navigation/keyboard.js";
import { openMenu } from "./page/menu.js";
import { toast } from "./page/messages.js";
import { openPagesMenu } from "./navigation/rail.js";
import { switchTheme } from "./page/theme.js";
import { playCards } from "./playback/play-from.js";
import { openPlaybackSettings } from "./playback/settings-dialog.js";
import { react, undoReaction } from "./reactions/react.js";
import { showPage } from "./router.js";
import { firstCard, trackOf } from "./track.js";
import { trackMenu } from "./track-menu.js";

/** @typedef {import("./track.js").Track} Track */
/** @typedef {import("./api.js").Answer<import("./api.js").Html>} HtmlAnswer */
/** @typedef {import("./account/opinions.js").OpinionWord} OpinionWord */

export class Actions {
  /**
   * @param {import("./playback/player.js").Player} player
   * @param {import("./account/opinions.js").Opinions} opinions
   * @param {() => void} onCards called when an action put cards into the page
   * @param {(listener: string, name: string) => void} onDeleted called when the listener has deleted their data
   */
  constructor(player, opinions, onCards, onDeleted) {
    this.player = player;
    this.opinions = opinions;
    this.onCards = onCards;
    /** @type {Record<string, (button: HTMLElement) => unknown>} by data-action */
    this.byName = {
      play: (button) => this.playCard(cardOf(button)),
      like: (button) => react(this, "like", trackOf(cardOf(button))),
      "undo-reaction": (button) =>
        undoReaction(this, /** @type {OpinionWord} */ (button.dataset.word), trackOf(cardOf(button))),
      menu: (button) => this.openTrackMenu(button, trackOf(cardOf(button))),
      "playback-settings": () => openPlaybackSettings(),
      "show-all": () => showWholeList(),
      "close-similar": () => this.#showSimilar(""),
      listener: () => openListenerDialog(),
      keys: () => openKeySheet(),
      letters: (button) => {
        switchLetters(!areLettersOn());
        button.setAttribute("aria-pressed", String(areLettersOn()));
      },
      "more-pages": (button) => openPagesMenu(button),
      theme: () => {
        switchTheme();
        player.waveform.draw();
      },
      resume: ({ dataset }) => this.#resume(dataset.trackId ?? "", Number(dataset.positionMs)),
      radio: ({ dataset }) => this.#startRadio(dataset.seed ?? "", dataset.value ?? "", dataset.title),
      "path-from": ({ dataset }) => startPath(dataset.trackId ?? "", dataset.title ?? ""),
      "play-page": () => this.playCard(required("#view .single .card")),
      "play-all": (button) => playLoadedAndRest(button.closest("section, article")),
      "play-list": (button) => playList(button),
      letter: ({ dataset }) => showEntry(Number(dataset.offset)),
      "play-path": () => playCards(find("#path-found"), null, { kind: "path", title: "Song path" }),
      "mute-named": ({ dataset }) => opinions.mute(dataset.target ?? ""),
      wish: ({ dataset }) => opinions.wish(dataset.target ?? "", dataset.wish ?? ""),
      unmute: ({ dataset }) => opinions.mute(dataset.target ?? "", false),
      "new-playlist": () => openPlaylistDialog([]),
      "edit-playlist": (button) => openEditDialog(button),
      "drop-playlist": (button) => deletePlaylist(button),
      "import-playlist": () => choosePlaylistFile(),
      forget: () => openDeleteDataDialog(onDeleted),
      password: () => openPasswordDialog(),
      record: () => toggleRecording(onCards),
      "map-in": () => zoomMap("in"),
      "map-out": () => zoomMap("out"),
      "map-all": () => zoomMap("all"),
    };
  }

  wire() {
    document.addEventListener("click", ({ target }) => {
      const button = target instanceof Element ? target.closest("[data-action]") : null;
      if (button instanceof HTMLElement) this.byName[button.dataset.action ?? ""]?.(button);
    });
    addEventListener("hashchange", () => this.#showSimilar(""));
  }

  /** @param {HTMLElement} card */
  playCard(card) {
    playLoadedAndRest(card.closest("[data-whole-list]") ?? card.closest(".cards") ?? card.parentElement, card);
  }

  /**
   * A button of the player's bar.
   * @param {"like" | "dislike" | "similar" | "menu"} action
   * @param {Track} track
   * @param {HTMLElement} button
   */
  onBarButton(action, track, button) {
    if (action === "similar") this.#showSimilar(track.id);
    else if (action === "menu") this.openTrackMenu(button, track);
    else react(this, action, track);
  }

  /**
   * @param {HTMLElement} button
   * @param {Track} track
   */
  openTrackMenu(button, track) {
    const items = trackMenu(track, {
      queue: this.player.queue,
      opinions: this.opinions,
      toggleOpinion: (word, about) => react(this, word, about),
      startRadio: (seed, id) => this.#startRadio(seed, id),
      showSimilar: (id) => this.#showSimilar(id),
      startPath,
      navigate,
    });
    openMenu(button, items);
  }

  /**
   * @param {string} seed "track", "album", "artist" or "words"
   * @param {string} value the track's or album's id, the artist's name, or words for the sound
   * @param {string} [title] of what is named by an id
   */
  async #startRadio(seed, value, title) {
    /** @type {HtmlAnswer} */
    const answer = await get(`/radio?${seed}=${encodeURIComponent(value)}`);
    if (!answer.ok) return toast(answer.error);
    const html = parseHtml(answer.html);
    const about = title ?? (seed === "track" ? (find(".card", html)?.dataset.title ?? "") : value);
    playCards(html, null, { kind: "radio", id: `${seed}:${value}`, title: `${about} radio`, address: "" });
  }

  /**
   * Continues a track where the listener stopped.
   * @param {string} trackId
   * @param {number} positionMs
   */
  async #resume(trackId, positionMs) {
    if (this.player.track?.id === trackId) return this.player.isPlaying || this.player.toggle(); // it knows the place better
    /** @type {HtmlAnswer} */
    const answer = await get(pathTo("card", trackId));
    if (!answer.ok) return toast(answer.error);
    this.player.load({ ...trackOf(firstCard(parseHtml(answer.html))), source: "history" }, positionMs, true);
  }

  /**
   * Shows the tracks similar to one above the page.
   * @param {string} trackId empty: closes them
   */
  async #showSimilar(trackId) {
    const section = required("#similar");
    section.dataset.trackId = trackId;
    if (!trackId) return section.replaceChildren();
    /** @type {HtmlAnswer} */
    const answer = await get(pathTo("view", "similar", trackId));
    if (section.dataset.trackId !== trackId) return; // closed, or another one was chosen meanwhile
    if (!answer.ok) return toast(answer.error);
    section.replaceChildren(parseHtml(answer.html));
    this.onCards();
    section.scrollIntoView({ behavior: "auto", block: "start" });
  }
}

/** Shows what "For you" has beyond its first rows. */
function showWholeList() {
  required("#for-you").classList.add("is-open");
  find('#for-you .card:nth-child(19) [data-action="play"]')?.focus();
}

/**
 * The card that a button is on.
 * @param {HTMLElement} button
 */
function cardOf(button) {
  const card = button.closest(".card");
  if (card instanceof HTMLElement) return card;
  throw new Error(`the button “${button.dataset.action}” is on no card`);
}

/**
 * Opens a page.
 * @param {string} address
 */
function navigate(address) {
  location.hash = address;
}

/**
 * @param {string} id
 * @param {string} title
 */
function startPath(id, title) {
  rememberPathStart(id, title);
  if (location.hash === "#/sound") showPage({ isRefresh: true });
  else navigate("#/sound");
}
