// Search as a view of its own: while its field holds text, the results stand in place of the page. Gradio answers the
// search; navigation, Escape and × end it.

import { create, required } from "../page/dom.js";
import { showTitle } from "../page/title.js";

const field = () => /** @type {HTMLInputElement | HTMLTextAreaElement} */ (required("#search :is(textarea, input)"));

export const focusSearch = () => field().focus();

export function clearSearch() {
  if (!field().value) return;
  field().value = "";
  field().dispatchEvent(new Event("input", { bubbles: true })); // for Gradio's listener and ours
}

export function wireSearch() {
  const names = { id: "search-clear", "aria-label": "Clear the search", title: "Clear (Escape)" };
  const onclick = () => {
    clearSearch();
    focusSearch();
  };
  const clear = create("button", { type: "button", ...names, hidden: true, onclick }, "×");
  const search = required("#search");
  search.append(clear);
  const show = () => {
    const isSearching = field().value.trim() !== "";
    document.body.classList.toggle("is-searching", isSearching);
    if (isSearching) scrollTo(0, 0);
    clear.hidden = field().value === "";
    showTitle({ search: isSearching ? "Search" : "" });
  };
  search.addEventListener("input", show);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field().value) return;
    clearSearch();
    event.preventDefault();
  });
  // A link may lead to the page behind the results: then the address does not change.
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest('a[href^="#/"]')) clearSearch();
  });
  addEventListener("hashchange", clearSearch);
  show();
}
