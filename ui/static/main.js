// The page's entry: makes the player, "For you", the other pages and the listener, and connects them.

import { createDeleteDataDialog } from "./account/delete-data.js";
import { forgetName } from "./account/known-names.js";
import {
  currentListener,
  currentSession,
  ensureListenerFor,
  listenerId,
  loadListener,
  onBeforeBringing,
  onListenerChange,
  onListenerKnown,
  onNameNeeded,
  setListener,
} from "./account/listener.js";
import { createListenerDialog, openListenerDialog } from "./account/listener-dialog.js";
import { Opinions } from "./account/opinions.js";
import { Outbox, uuid } from "./account/outbox.js";
import { createPasswordDialog } from "./account/password.js";
import { showSteering, wireSteering } from "./account/steering.js";
import { forgetEvent, loadEvents, saveEvent } from "./account/stored-events.js";
import { Visits } from "./account/visits.js";
import { Actions } from "./actions.js";
import { post } from "./api.js";
import {
  onForYouNews,
  refresh,
  reload,
  reloadForGuest,
  renewAtNextTrack,
  wireForYou,
  wireForYouList,
} from "./discover/for-you.js";
import { ShownTracks, watchCards } from "./discover/shown-tracks.js";
import { wireSongPath } from "./discover/song-path.js";
import { wireSoundSearch } from "./discover/sound-search.js";
import { showTasteMap } from "./discover/taste-map.js";
import { createWhyDialog } from "./discover/why.js";
import { wireCardKeys } from "./navigation/card-keys.js";
import { onEntriesAdded, wirePagedLists } from "./library/paged-list.js";
import { wirePlaylistRows } from "./library/playlist-rows.js";
import { createPlaylistDialogs } from "./library/playlists.js";
import { focusSearch, wireSearch } from "./library/search.js";
import { markCards } from "./page/cards.js";
import { find, findAll, required } from "./page/dom.js";
import { renewAfterTrack, wireHomeNews } from "./navigation/home-news.js";
import { wireListNews } from "./navigation/list-news.js";
import { areLettersOn, createKeySheet, wireKeyboard } from "./navigation/keyboard.js";
import { wireMenu } from "./page/menu.js";
import { createToast, say, toast } from "./page/messages.js";
import { loadPictures } from "./page/pictures.js";
import { restoreTheme } from "./page/theme.js";
import { changeVolume, seekBy } from "./playback/by-keys.js";
import { connectPlayer } from "./playback/play-from.js";
import { Player } from "./playback/player.js";
import { QueuePanel } from "./playback/queue/queue-panel.js";
import { Queue } from "./playback/queue/queue.js";
import { KeptPlayback } from "./playback/queue/kept-playback.js";
import { forgetPlayback } from "./playback/queue/saved-playback.js";
import { upNext } from "./playback/queue/up-next.js";
import { PlaybackSettings } from "./playback/settings.js";
import { createSettingsDialog } from "./playback/settings-dialog.js";
import { connect, reconnect } from "./push.js";
import { isCardInSight, showReactions } from "./reactions/reaction-notes.js";
import { onPageShown, showAwaitedPage, showHome, showPage, wireRouter } from "./router.js";
import { loadJson, loadText, saveJson, saveText } from "./storage.js";
import { trackOf } from "./track.js";

const SHOWN_STORED_AS = "shown-list";
const VISITS_STORED_AS = "visits";
const RENEW_LISTENER_MS = 6 * 3600_000; // the server renews the session's cookie daily, also of a page that stays open
const RENDERED_BY_GRADIO = ["#for-you", "#search", "#listener", "#notice", "#view", "#nav"];

function start() {
  // Gradio styles these as the text of a document; what the page has in them has styles of its own.
  for (const wrapper of findAll(".gradio-container :is(.prose, .md)")) wrapper.className = "frame";
  createToast();
  createListenerDialog(onNobody);
  createPlaylistDialogs();
  createWhyDialog();
  createDeleteDataDialog();
  createPasswordDialog();
  createKeySheet();

  const outbox = new Outbox({
    post: (event) => post("/events", event),
    listener: currentListener,
    enter: ensureListenerFor,
    onResult,
    id: uuid,
    load: loadEvents,
    save: saveEvent,
    forget: forgetEvent,
  });
  const send = (/** @type {object} */ event) => outbox.send(event);
  const opinions = new Opinions({
    send,
    announce: (message, undo, trackId) => (trackId && isCardInSight(trackId) ? say(message) : toast(message, undo)),
    onChange: showOpinions,
  });
  const queue = new Queue(onQueueChange);
  const settings = new PlaybackSettings((sent) => listenerId() && post("/queue/settings", sent));
  createSettingsDialog(settings);
  const player = new Player({
    completeShare: Number(required("#for-you").dataset.completeShare),
    queue,
    settings,
    forYou: () => upNext(forYouTracks(), player.startedIds, queue.shuffle ? queue.seed : null),
    send,
    onButton: (...button) => actions.onBarButton(...button),
    onChange: onPlaybackChange,
  });
  const shownTracks = new ShownTracks({
    send: (tracks, modelVersion) =>
      send({ action: "shown", tracks, source: "for-you", ...(modelVersion && { model_version: modelVersion }) }),
    loadSent: () => loadText(SHOWN_STORED_AS),
    saveSent: (listMark) => saveText(SHOWN_STORED_AS, listMark),
  });
  const watchNewCards = watchCards(shownTracks);
  const visits = new Visits({
    send,
    load: () => loadJson(VISITS_STORED_AS),
    save: (times) => saveJson(VISITS_STORED_AS, times),
  });
  connectPlayer(player, (track) => opinions.has(track.id, "dislike"));
  const panel = new QueuePanel(player);
  const keptPlayback = new KeptPlayback(player, uuid());
  const actions = new Actions(player, opinions, mark, onDeleted);

  /** The tracks of "For you" that may follow. */
  function forYouTracks() {
    const queuedIds = [...queue.items, ...queue.list].map((track) => track.id);
    return findAll("#for-you .card")
      .map(trackOf)
      .filter(({ id }) => id !== player.track?.id && !opinions.has(id, "dislike") && !queuedIds.includes(id));
  }

  function mark() {
    const { track, isPlaying } = player;
    markCards({ currentId: track?.id ?? null, isPlaying, has: (id, word) => opinions.has(id, word) });
    showReactions(opinions);
  }

  function showOpinions() {
    queue.removeRejected((track) => opinions.rejects(track));
    mark();
    showSteering(opinions);
  }

  function onQueueChange() {
    player.showModes();
    panel.show();
    keptPlayback.change();
  }

  let startedId = "";
  function onPlaybackChange() {
    if (player.track && player.track.id !== startedId) {
      startedId = player.track.id;
      renewAtNextTrack();
      renewAfterTrack();
    }
    mark();
    panel.show();
    keptPlayback.change();
  }

  /** The listener has deleted their data: this browser keeps none either. */
  async function onDeleted(/** @type {string} */ id, /** @type {string} */ name) {
    outbox.discard(id);
    forgetName(name);
    await loadListener();
    forgetPlayback(id);
  }

  /** No name was chosen where one is needed: what waited for it is dropped. */
  function onNobody() {
    if (currentSession().guests) return;
    outbox.discardUnowned();
    opinions.clear();
  }

  /**
   * @param {import("./account/outbox.js").SendResult} result
   * @param {Record<string, unknown>} event
   */
  function onResult(result, { action }) {
    const isByItself = action === "shown" || action === "visit"; // sent without the listener's doing, so failures are not shown
    if (result.status === 401) setListener(null);
    else if (result.status === 409) refresh(); // it tells who is listening now
    else if (!result.ok && result.status !== 0 && !isByItself) toast(result.error);
  }

  onForYouNews((news) => {
    if (news.ok) {
      if (!news.away) opinions.update(news);
      setListener(news.listener);
      if (!news.away) visits.show(news.listener, required("#for-you").dataset.personal === "true");
    }
    mark();
    panel.show();
  });

  wireForYouList(({ mark: listMark, personal }) => {
    shownTracks.showList(personal ? listMark : null, find("#for-you .cards")?.dataset.modelVersion);
    watchNewCards();
  });

  onEntriesAdded(mark);
  onPageShown((kind) => {
    wirePagedLists();
    if (kind === "queue") return panel.open();
    if (kind === "track") loadPictures();
    if (kind === "settings") required("#letters").setAttribute("aria-pressed", String(areLettersOn()));
    if (kind === "map") showTasteMap((card) => actions.playCard(card));
    if (kind === "sound") {
      wireSoundSearch(mark);
      wireSongPath(mark);
    }
    showOpinions();
  });

  onListenerChange((id, before, isBrought) => {
    const isNewGuest = before === null && currentSession().is_guest === true; // what was done just now made them one
    outbox.handOver(currentSession().brought_from ?? null, id);
    if (before !== null) opinions.clear(); // what nobody has done is of who comes first, here as in the outbox
    shownTracks.drop();
    visits.expect();
    keptPlayback.switchTo(isBrought ? null : before, id);
    onQueueChange();
    if (isNewGuest) reloadForGuest();
    else reload();
    reconnect();
    outbox.flush();
    if (isNewGuest) showAwaitedPage();
    else if (location.hash.length > "#/".length) showPage();
    else showHome();
  });
  onNameNeeded(openListenerDialog);
  onBeforeBringing(() => keptPlayback.flush());

  onListenerKnown(() => {
    showAwaitedPage();
    outbox.flush();
  });

  restoreTheme();
  wireForYou();
  wireSteering(opinions);
  wireMenu();
  wireSearch();
  wirePlaylistRows();
  wireCardKeys();
  wireHomeNews();
  wireListNews();
  wireKeyboard({
    playPause: () => player.toggle(),
    next: () => player.next(),
    previous: () => player.previous(),
    search: focusSearch,
    seek: (seconds) => seekBy(player, seconds),
    press: (id) => find(`#${id}`)?.click(),
    changeVolume: (percent) => changeVolume(player, percent / 100),
  });
  actions.wire();
  visits.setVisible(!document.hidden);
  document.addEventListener("visibilitychange", () => {
    visits.setVisible(!document.hidden);
    if (!document.hidden) refresh();
  });
  wireRouter();
  loadListener().then(() => {
    if (!listenerId()) keptPlayback.restoreNobodys();
    connect();
  });
  setInterval(loadListener, RENEW_LISTENER_MS);
  refresh();
  Object.assign(window, { overtone: { player, queue, outbox, refresh } }); // for tests and bench/player.py
}

/** Gradio may render the page before or after this script is loaded. */
const isRendered = () => RENDERED_BY_GRADIO.every((selector) => find(selector));

if (isRendered()) start();
else {
  const rendering = new MutationObserver(() => {
    if (!isRendered()) return;
    rendering.disconnect();
    start();
  });
  rendering.observe(document.documentElement, { childList: true, subtree: true });
}
