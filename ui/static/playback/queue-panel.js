// The queue as the listener sees it: queued tracks to reorder and remove, and what follows from "For you".

import { create, find, findAll, required } from "../page/dom.js";

/** @typedef {import("../track.js").Track} Track */

const FOR_YOU_TRACKS = 6;

export class QueuePanel {
  /**
   * @param {import("./player.js").Player} player
   * @param {() => Track[]} forYou the tracks of "For you" in the order in which they follow
   */
  constructor(player, forYou) {
    this.player = player;
    this.queue = player.queue;
    this.forYou = forYou;
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {() => void} */ onclick) =>
      create("button", { type: "button", id, className: "quiet", onclick }, text);
    this.panel = create(
      "aside",
      { id: "queue-panel", "aria-label": "Queue", hidden: true },
      create(
        "header",
        {},
        create("h2", {}, "Queue"),
        button("queue-clear", "Clear", () => this.queue.clear()),
        button("queue-close", "Close", () => this.toggle()),
      ),
      create("h3", {}, "Next in queue"),
      create("ol", { id: "queue-items", role: "list" }),
      create(
        "p",
        { id: "queue-empty" },
        "The queue is empty. Playback continues with “For you”. Add tracks from a track's menu.",
      ),
      create("h3", {}, "Next from For you"),
      create("ol", { id: "queue-ahead", role: "list" }),
    );
    document.body.append(this.panel);
    required("#queue-toggle").addEventListener("click", () => this.toggle());
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle());
  }

  toggle() {
    this.panel.hidden = !this.panel.hidden;
    required("#queue-toggle").setAttribute("aria-expanded", String(!this.panel.hidden));
    if (!this.panel.hidden) this.show();
    required(this.panel.hidden ? "#queue-toggle" : "#queue-close").focus();
  }

  /** Shows the queue as it is now, where the panel is open. */
  show() {
    if (this.panel.hidden) return;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    const item = /** @type {HTMLElement | null} */ (focused?.closest("#queue-items li"));
    const { items } = this.queue;
    required("#queue-empty").hidden = items.length > 0;
    required("#queue-clear", HTMLButtonElement).disabled = items.length === 0;
    required("#queue-items").replaceChildren(...items.map((track, position) => this.#item(track, position)));
    const following = this.forYou().slice(0, FOR_YOU_TRACKS);
    required("#queue-ahead").replaceChildren(...following.map((track) => create("li", {}, titleAndArtist(track))));
    if (item) this.#focus(Number(item.dataset.position), focused?.dataset.act);
  }

  /**
   * @param {Track} track
   * @param {number} position in the queue
   */
  #item(track, position) {
    const last = this.queue.items.length - 1;
    const { title } = track;
    const play = { "aria-label": `Play ${title} now`, onclick: () => this.player.playQueued(position) };
    const item = create(
      "li",
      { draggable: true, "data-position": position },
      create("button", { type: "button", className: "queue-play", ...play }, titleAndArtist(track)),
      itemButton("up", "Move up", "↑", title, position === 0, () => this.#move(position, position - 1, "up")),
      itemButton("down", "Move down", "↓", title, position === last, () => this.#move(position, position + 1, "down")),
      itemButton("remove", "Remove", "×", title, false, () => {
        this.queue.remove(position);
        this.#focus(Math.min(position, this.queue.items.length - 1), "remove");
      }),
    );
    item.addEventListener("dragstart", ({ dataTransfer }) => {
      if (!dataTransfer) return;
      dataTransfer.setData("text/plain", String(position));
      dataTransfer.effectAllowed = "move";
    });
    item.addEventListener("dragover", (event) => event.preventDefault());
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      const dragged = event.dataTransfer?.getData("text/plain");
      if (dragged && /^\d+$/.test(dragged)) this.queue.move(Number(dragged), position);
    });
    return item;
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {string} act
   */
  #move(from, to, act) {
    this.queue.move(from, to);
    this.#focus(to, act);
  }

  /**
   * Focuses a button of the item at a position; where it is disabled, another of the same item.
   * @param {number} position
   * @param {string | undefined} act
   */
  #focus(position, act) {
    const item = findAll("#queue-items li")[position];
    if (item) (find(`[data-act="${act}"]:enabled`, item) ?? find("[data-act]:enabled", item))?.focus();
  }
}

/**
 * @param {string} act
 * @param {string} label
 * @param {string} symbol
 * @param {string} title of the track
 * @param {boolean} disabled
 * @param {() => void} onclick
 */
function itemButton(act, label, symbol, title, disabled, onclick) {
  const names = { "data-act": act, "aria-label": `${label} ${title}`, title: label };
  const hidden = { "aria-hidden": "true" };
  return create("button", { type: "button", ...names, disabled, onclick }, create("span", hidden, symbol));
}

/** @param {Track} track */
const titleAndArtist = ({ title, artist }) =>
  create("span", { className: "queue-track" }, create("b", {}, title), create("small", {}, artist));
