// The queue as the listener sees it: what is on, what was put next, and what "For you" brings then.

import { all, make, one } from "./dom.js";

const AHEAD = 6;
const symbol = (text) => make("span", { textContent: text, "aria-hidden": "true" });

export class QueuePanel {
  /** ahead: (n) => the next tracks of "For you" */
  constructor({ player, queue, ahead }) {
    Object.assign(this, { player, queue, ahead });
    this.panel = make(
      "aside",
      { id: "queue-panel", "aria-label": "Queue", hidden: true },
      make(
        "header",
        {},
        make("h2", { textContent: "Queue" }),
        make("button", { type: "button", id: "queue-clear", className: "quiet", onclick: () => queue.clear() }, "Clear"),
        make("button", { type: "button", id: "queue-close", className: "quiet", onclick: () => this.toggle() }, "Close"),
      ),
      make("h3", { textContent: "Next in queue" }),
      make("ol", { id: "queue-items", role: "list" }),
      make("p", { id: "queue-empty", textContent: "Nothing: “For you” goes on by itself. A track's menu puts it here." }),
      make("h3", { textContent: "Then along For you" }),
      make("ol", { id: "queue-ahead", role: "list" }),
    );
    document.body.append(this.panel);
    one("#queue-toggle").addEventListener("click", () => this.toggle());
    this.panel.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle());
  }

  toggle() {
    this.panel.hidden = !this.panel.hidden;
    one("#queue-toggle").setAttribute("aria-expanded", String(!this.panel.hidden));
    if (this.panel.hidden) one("#queue-toggle").focus();
    else {
      this.show();
      one("#queue-close").focus();
    }
  }

  show() {
    if (this.panel.hidden) return;
    const focused = document.activeElement?.closest?.("#queue-items li") ? document.activeElement : null;
    const place = focused && [focused.closest("li").dataset.place, focused.dataset.act];
    const items = this.queue.items;
    one("#queue-empty").hidden = items.length > 0;
    one("#queue-clear").disabled = items.length === 0;
    one("#queue-items").replaceChildren(...items.map((track, at) => this.#item(track, at)));
    one("#queue-ahead").replaceChildren(...this.ahead(AHEAD).map((track) => make("li", {}, this.#words(track))));
    if (place) this.#focus(Number(place[0]), place[1]);
  }

  #item(track, at) {
    const last = this.queue.items.length - 1;
    const act = (name, label, text, disabled, action) =>
      make(
        "button",
        { type: "button", "data-act": name, "aria-label": `${label} ${track.title}`, title: label, disabled, onclick: action },
        symbol(text),
      );
    const onclick = () => this.player.playQueued(at);
    const item = make(
      "li",
      { draggable: true, "data-place": at },
      make("button", { type: "button", className: "queue-play", "aria-label": `Play ${track.title} now`, onclick }, this.#words(track)),
      act("up", "Move up", "↑", at === 0, () => this.#move(at, at - 1, "up")),
      act("down", "Move down", "↓", at === last, () => this.#move(at, at + 1, "down")),
      act("remove", "Remove", "×", false, () => {
        this.queue.remove(at);
        this.#focus(Math.min(at, this.queue.items.length - 1), "remove");
      }),
    );
    item.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/plain", String(at));
      event.dataTransfer.effectAllowed = "move";
    });
    item.addEventListener("dragover", (event) => event.preventDefault());
    item.addEventListener("drop", (event) => {
      event.preventDefault();
      const from = Number(event.dataTransfer.getData("text/plain"));
      if (Number.isInteger(from) && from in this.queue.items) this.queue.move(from, at);
    });
    return item;
  }

  #move(from, to, act) {
    this.queue.move(from, to);
    this.#focus(to, act);
  }

  #focus(place, act) {
    const item = all("#queue-items li")[place];
    (item && (one(`[data-act=${act}]:enabled`, item) ?? one("[data-act]:enabled", item)))?.focus();
  }

  #words(track) {
    return make("span", { className: "queue-words" }, make("b", {}, track.title), make("small", {}, track.artist));
  }
}
