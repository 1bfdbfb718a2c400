// The queue as the listener sees it, by where it comes from: own additions, the list that plays, "For you".

import { coverAddress } from "../../page/covers.js";
import { create, find, findAll, required } from "../../page/dom.js";
import { toast } from "../../page/messages.js";
import { titleNodes } from "../../page/title-parts.js";
import { openPlaybackSettings, openSleepMenu } from "../settings-dialog.js";

/** @typedef {import("../../track.js").Track} Track */
/** @typedef {import("./queue.js").Part} Part */

const MAX_SHOWN_LIST = 100;
const MAX_SHOWN_FOR_YOU = 6;

export class QueuePanel {
  #shown = ""; // what the panel shows, to draw it anew only when that changes

  /** @param {import("../player.js").Player} player */
  constructor(player) {
    this.player = player;
    this.queue = player.queue;
    const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {() => void} */ onclick, attributes = {}) =>
      create("button", { type: "button", id, className: "quiet", onclick, ...attributes }, text);
    const opensMenu = { "aria-haspopup": "menu", "aria-expanded": "false" };
    const list = (/** @type {string} */ id) => create("ol", { id, role: "list" });
    this.panel = create(
      "aside",
      { id: "queue-panel", "aria-label": "Queue", hidden: true },
      create(
        "header",
        {},
        create("h2", {}, "Queue"),
        button("queue-clear", "Clear", () => this.#clear()),
        button("queue-close", "Close", () => this.toggle()),
      ),
      create(
        "p",
        { id: "queue-tools" },
        button("queue-sleep", "Sleep timer", () => openSleepMenu(required("#queue-sleep"), player), opensMenu),
        button("queue-settings", "Playback settings", openPlaybackSettings),
      ),
      create("section", { id: "queue-now" }, create("h3", {}, "Now playing"), create("div", { className: "queue-play" })),
      create("p", { id: "queue-empty" }, "Your queue is empty. For you plays next."),
      create("section", { id: "queue-own" }, create("h3", {}, "Next in queue"), list("queue-items")),
      create(
        "section",
        { id: "queue-context" },
        create("h3", {}, "Next from: ", create("a", { id: "queue-context-title" })),
        list("queue-list"),
        create("p", { id: "queue-more" }),
      ),
      create("section", { id: "queue-for-you" }, create("h3", {}, "Next from For you"), list("queue-ahead")),
    );
    document.body.append(this.panel);
    required("#queue-toggle").addEventListener("click", () => this.toggle());
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle());
  }

  open() {
    if (this.panel.hidden) this.toggle();
  }

  toggle() {
    this.panel.hidden = !this.panel.hidden;
    required("#queue-toggle").setAttribute("aria-expanded", String(!this.panel.hidden));
    if (!this.panel.hidden) this.show();
    required(this.panel.hidden ? "#queue-toggle" : "#queue-close").focus();
  }

  /** Shows what follows now, where the panel is open. */
  show() {
    if (this.panel.hidden) return;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    const item = /** @type {HTMLElement | null} */ (focused?.closest("#queue-panel li"));
    const upcoming = this.player.following.upcoming();
    const tracksOf = (/** @type {Part} */ part) => upcoming.filter((each) => each.part === part).map(({ track }) => track);
    const [own, list, forYou] = [tracksOf("own"), tracksOf("list"), tracksOf("for-you")];
    const { items, list: ahead, context } = this.queue;
    const current = this.player.track;
    const content = JSON.stringify([upcoming.map(({ part, track }) => [part, track.id]), context, current?.id, items.length]);
    if (content === this.#shown) return; // what has not changed stays under the finger
    this.#shown = content;
    required("#queue-now").hidden = current === null;
    if (current) required("#queue-now .queue-play").replaceChildren(...coverAndTitle(current));
    required("#queue-empty").hidden = items.length + ahead.length > 0;
    required("#queue-clear", HTMLButtonElement).disabled = items.length + ahead.length === 0;
    required("#queue-own").hidden = own.length === 0;
    required("#queue-items").replaceChildren(...own.map((track, position) => this.#item(track, "own", position)));
    required("#queue-context").hidden = list.length === 0;
    showContext(context);
    const shownList = list.slice(0, MAX_SHOWN_LIST);
    required("#queue-list").replaceChildren(...shownList.map((track, position) => this.#item(track, "list", position)));
    const more = list.length - shownList.length;
    required("#queue-more").textContent = more > 0 ? `${more} more` : "";
    required("#queue-for-you").hidden = forYou.length === 0;
    const following = forYou.slice(0, MAX_SHOWN_FOR_YOU);
    required("#queue-ahead").replaceChildren(...following.map((track, position) => this.#forYouItem(track, position)));
    if (item) this.#focus(partOf(item), Number(item.dataset.position), focused?.dataset.act);
  }

  /** Clears the queue; the toast brings it back. */
  #clear() {
    const queue = this.queue.snapshot();
    this.queue.clear();
    toast("Queue cleared.", () => this.queue.restore(queue));
  }

  /**
   * @param {Track} track
   * @param {Part} part
   * @param {number} position in the part
   */
  #item(track, part, position) {
    const tracks = part === "own" ? this.queue.items : this.queue.list;
    const isAhead = position in tracks; // else it follows once "repeat all" starts over
    const { title } = track;
    const item = create(
      "li",
      { draggable: isAhead, "data-position": position, "data-part": part },
      create("button", { ...playAttributes(title), onclick: () => this.#play(part, position) }, ...coverAndTitle(track)),
    );
    if (!isAhead) return item;
    const last = tracks.length - 1;
    item.append(
      itemButton("up", "Move up", "↑", title, position === 0, () => this.#move(part, position, position - 1, "up")),
      itemButton("down", "Move down", "↓", title, position === last, () => this.#move(part, position, position + 1, "down")),
      itemButton("remove", "Remove", "×", title, false, () => {
        toast(`“${title}” removed from the queue.`, this.queue.remove(part, position));
        this.#focus(part, Math.min(position, tracks.length - 1), "remove");
      }),
    );
    item.addEventListener("dragstart", ({ dataTransfer }) => {
      if (!dataTransfer) return;
      dataTransfer.setData("text/plain", `${part} ${position}`);
      dataTransfer.effectAllowed = "move";
    });
    item.addEventListener("dragover", (event) => event.preventDefault());
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      const [, from, dragged] = /^(own|list) (\d+)$/.exec(event.dataTransfer?.getData("text/plain") ?? "") ?? [];
      if (from === part) this.queue.move(part, Number(dragged), position);
    });
    return item;
  }

  /**
   * @param {Track} track
   * @param {number} position
   */
  #forYouItem(track, position) {
    const attributes = { ...playAttributes(track.title), onclick: () => this.#play("for-you", position) };
    return create("li", { "data-position": position, "data-part": "for-you" }, create("button", attributes, ...coverAndTitle(track)));
  }

  /**
   * @param {Part} part
   * @param {number} position
   */
  #play(part, position) {
    this.player.playUpcoming(part, position);
  }

  /**
   * @param {Part} part
   * @param {number} from
   * @param {number} to
   * @param {string} act
   */
  #move(part, from, to, act) {
    this.queue.move(part, from, to);
    this.#focus(part, to, act);
  }

  /**
   * Focuses a button of the item at a position; where it is disabled, another of the same item.
   * @param {Part} part
   * @param {number} position
   * @param {string | undefined} act
   */
  #focus(part, position, act) {
    const item = findAll(`#queue-panel li[data-part="${part}"]`)[position];
    if (item) (find(`[data-act="${act}"]:enabled`, item) ?? find("[data-act]:enabled", item))?.focus();
  }
}

/** @param {import("./queue.js").PlayContext | null} context */
function showContext(context) {
  const link = required("#queue-context-title", HTMLAnchorElement);
  link.textContent = context?.title || "the list";
  if (context?.address) link.href = context.address;
  else link.removeAttribute("href");
}

/** @param {HTMLElement} item */
const partOf = (item) => /** @type {Part} */ (item.dataset.part);

/** @param {string} title */
const playAttributes = (title) => ({ type: "button", className: "queue-play", "aria-label": `Play ${title} now` });

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
const coverAndTitle = (track) => [
  create("img", { src: coverAddress(track, 64), alt: "", width: 40, height: 40, loading: "lazy" }),
  create("span", { className: "queue-track" }, create("b", { className: "two-part", title: track.title }, ...titleNodes(track.title)), create("small", {}, track.artist)),
];
