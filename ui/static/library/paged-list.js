// Lists of any length: the server sends the first entries with the page, the others when they come near to the view, and what is
// far from it is taken out again. Each list is cut into blocks of whole rows; a block that is not loaded keeps its height.
//
// A list has data-paged (the address of its parts), data-total, and entries of equal height; where others come before it at the
// same address, as a disc before the second one of an album, data-first is the place of its first entry there.

import { get, isTemporary } from "../api.js";
import { find, findAll, parseHtml } from "../page/dom.js";

/** @typedef {import("../api.js").Answer<import("../api.js").Html>} HtmlAnswer */

const MOST_IN_BLOCK = 60; // entries; as many as the server sends with the page
const KEPT_WHOLE = 600; // entries of a list of which nothing is taken out
const LOAD_AHEAD = "1200px 0px";
const RETRY_MS = 3000;

/** @type {PagedList[]} */
let lists = [];
/** @type {() => void} */
let onEntries = () => {};

/** @param {typeof onEntries} callback called when entries were put into a list */
export function onEntriesAdded(callback) {
  onEntries = callback;
}

/** Takes over the lists that were put in place, and leaves those that are gone; others stay as they are. */
export function wirePagedLists() {
  for (const list of lists) if (!list.first.isConnected) list.end();
  const elements = findAll("#view [data-paged]");
  lists = elements.map((element) => lists.find(({ first }) => first === element) ?? new PagedList(element));
}

/**
 * Brings an entry of the page's list into view, and the focus to it.
 * @param {number} offset of the entry
 */
export function showEntry(offset) {
  lists[0]?.show(offset);
}

/**
 * Where the server has some entries of a list.
 * @param {string} address of the list's parts
 * @param {number} offset of the first entry
 * @param {number} limit
 */
export const addressOfPart = (address, offset, limit) =>
  `${address}${address.includes("?") ? "&" : "?"}offset=${offset}&limit=${limit}`;

class PagedList {
  /** @param {HTMLElement} first the list with its first entries */
  constructor(first) {
    this.first = first;
    this.address = first.dataset.paged ?? "";
    this.total = Number(first.dataset.total);
    this.place = Number(first.dataset.first ?? 0);
    this.sent = [...first.children];
    /** @type {HTMLElement[]} */
    this.blocks = [];
    this.columns = 0;
    this.rowHeight = 0;
    this.gap = 0;
    this.observer = new IntersectionObserver((entries) => this.#onView(entries), { rootMargin: LOAD_AHEAD });
    this.resizing = new ResizeObserver(() => this.#layOut());
    if (this.total > this.sent.length) this.resizing.observe(first);
  }

  end() {
    this.observer.disconnect();
    this.resizing.disconnect();
  }

  get #blockSize() {
    return Math.max(1, Math.floor(MOST_IN_BLOCK / this.columns)) * this.columns;
  }

  /** Cuts the list into blocks anew where the number of columns or the rows' height has changed. */
  #layOut() {
    const { first } = this;
    const style = getComputedStyle(first);
    const isGrid = style.display === "grid";
    const columns = isGrid ? style.gridTemplateColumns.split(" ").length : 1;
    const entry = first.firstElementChild ?? this.blocks.find((block) => block.firstElementChild)?.firstElementChild;
    if (!entry || !first.isConnected) return;
    const rowHeight = entry.getBoundingClientRect().height;
    if (!rowHeight) return;
    if (columns === this.columns && Math.abs(rowHeight - this.rowHeight) < 0.5) return;
    const top = this.#firstInView();
    this.columns = columns;
    this.rowHeight = rowHeight;
    this.gap = isGrid ? parseFloat(style.rowGap) || 0 : 0;
    this.#cut();
    if (top > 0) this.show(top, false);
  }

  #cut() {
    this.observer.disconnect();
    for (const block of this.blocks.slice(1)) block.remove();
    const size = this.#blockSize;
    this.first.replaceChildren(...this.sent.slice(0, size));
    this.blocks = [this.first];
    let last = this.first;
    for (let offset = size; offset < this.total; offset += size) {
      const block = /** @type {HTMLElement} */ (this.first.cloneNode(false));
      delete block.dataset.paged;
      block.removeAttribute("id");
      last.after(block);
      this.blocks.push(block);
      last = block;
    }
    this.blocks.forEach((block, number) => {
      block.dataset.offset = String(number * size);
      block.style.minHeight = `${this.#height(Math.min(size, this.total - number * size))}px`;
      if (number > 0) block.style.marginTop = `${this.gap}px`;
      this.observer.observe(block);
    });
    const rest = this.sent.slice(size, 2 * size);
    const second = this.blocks[1];
    if (second && rest.length === Math.min(size, this.total - size)) second.replaceChildren(...rest);
    onEntries();
  }

  /** @param {number} count of entries */
  #height(count) {
    const rows = Math.ceil(count / this.columns);
    return rows * this.rowHeight + (rows - 1) * this.gap;
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #onView(entries) {
    for (const { target, isIntersecting } of entries) {
      const block = /** @type {HTMLElement} */ (target);
      if (isIntersecting) this.#load(block);
      else if (this.total > KEPT_WHOLE && block !== this.first && !block.contains(document.activeElement)) {
        block.replaceChildren();
      }
    }
  }

  /** @param {HTMLElement} block */
  async #load(block) {
    if (block.firstElementChild || block.dataset.loading) return;
    block.dataset.loading = "true";
    const offset = Number(block.dataset.offset);
    const limit = Math.min(this.#blockSize, this.total - offset);
    /** @type {HtmlAnswer} */
    const answer = await get(addressOfPart(this.address, this.place + offset, limit));
    delete block.dataset.loading;
    if (!block.isConnected) return;
    if (answer.ok) {
      block.replaceChildren(parseHtml(answer.html));
      onEntries();
    } else if (isTemporary(answer.status)) {
      setTimeout(() => this.#isNear(block) && this.#load(block), RETRY_MS);
    }
  }

  /** @param {HTMLElement} block */
  #isNear(block) {
    const { top, bottom } = block.getBoundingClientRect();
    return bottom > -innerHeight && top < 2 * innerHeight;
  }

  /** The offset of the first entry in view; 0 where the list begins in view or below. */
  #firstInView() {
    for (const block of this.blocks) {
      const { top, bottom } = block.getBoundingClientRect();
      if (bottom <= 0) continue;
      const rows = top < 0 ? Math.floor(-top / (this.rowHeight + this.gap)) : 0;
      return Number(block.dataset.offset) + rows * this.columns;
    }
    return 0;
  }

  /**
   * @param {number} offset
   * @param {boolean} [withFocus]
   */
  async show(offset, withFocus = true) {
    const block = this.blocks.findLast((each) => Number(each.dataset.offset) <= offset) ?? this.first;
    const place = offset - Number(block.dataset.offset ?? 0);
    const row = Math.floor(place / Math.max(1, this.columns));
    const y = block.getBoundingClientRect().top + scrollY + row * (this.rowHeight + this.gap);
    scrollTo(0, y - parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop || "0"));
    if (!withFocus) return;
    await this.#load(block);
    const entry = block.children[place];
    if (entry) (find("h3 a", entry) ?? find("a", entry))?.focus({ preventScroll: true });
  }
}
