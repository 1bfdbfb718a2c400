// Search as a view of its own: while there is text in its field, what was found stands in place of the page. Navigation, Escape
// and × end it.

import { make, one } from "./dom.js";
import { showTitle } from "./title.js";

const field = () => one("#search textarea, #search input");

export const focusSearch = () => field()?.focus();

export function clearSearch() {
  const typed = field();
  if (!typed?.value) return;
  typed.value = "";
  typed.dispatchEvent(new Event("input", { bubbles: true })); // Gradio's, and ours
}

export function wireSearch() {
  const words = { "aria-label": "Clear the search", title: "Clear (Escape)", textContent: "×" };
  const clear = make("button", { type: "button", id: "search-clear", hidden: true, ...words });
  clear.addEventListener("click", () => {
    clearSearch();
    focusSearch();
  });
  one("#search").append(clear);
  const show = () => {
    const text = field().value.trim();
    if (document.body.classList.toggle("is-searching", text !== "")) scrollTo(0, 0);
    clear.hidden = field().value === "";
    showTitle({ search: text ? "Search" : "" });
  };
  one("#search").addEventListener("input", show);
  one("#search").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field().value) return;
    clearSearch();
    event.preventDefault();
  });
  // A link may lead to the page that the search stands before: then the address does not change.
  document.addEventListener("click", (event) => event.target.closest?.('a[href^="#/"]') && clearSearch());
  addEventListener("hashchange", clearSearch);
  show();
}
