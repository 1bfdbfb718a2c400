// The search field: what is typed becomes the address of a page of results, which the server makes. Back leads to the results
// again, and before them to the page where the search began.

import { create, required, requiredInput } from "../page/dom.js";
import { showPage } from "../router.js";

let pageBefore = "#/"; // where the search began

const field = () => requiredInput("#search input");
const isSearchPage = () => /^#\/search(?:\?|$)/.test(location.hash);

/** What the address of a page of results says. */
const queryInAddress = () => new URLSearchParams(location.hash.split("?", 2)[1] ?? "").get("q") ?? "";

export const focusSearch = () => {
  field().focus();
  field().select();
};

export function wireSearch() {
  const names = { id: "search-clear", "aria-label": "Clear the search", title: "Clear (Escape)" };
  const onclick = () => {
    endSearch();
    field().focus();
  };
  const clear = create("button", { type: "button", ...names, hidden: true, onclick }, "×");
  const search = required("#search");
  search.append(clear);
  const showClear = () => (clear.hidden = field().value === "");
  search.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => {
    showClear();
    showResults(field().value);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !field().value) return;
    endSearch();
    showClear();
    event.preventDefault();
  });
  const followAddress = () => {
    const query = isSearchPage() ? queryInAddress() : "";
    if (field().value.trim() !== query.trim()) field().value = query;
    if (/^#\/search$/.test(location.hash)) field().focus();
    showClear();
  };
  addEventListener("hashchange", followAddress);
  followAddress();
}

/**
 * The first letter opens a page of the history; those after it change its address.
 * @param {string} typed
 */
function showResults(typed) {
  if (!typed.trim()) return isSearchPage() ? endSearch() : undefined;
  const address = `#/search?q=${encodeURIComponent(typed.toWellFormed())}`;
  if (!isSearchPage()) {
    pageBefore = location.hash || "#/";
    location.hash = address;
  } else {
    history.replaceState(history.state, "", address);
    showPage({ isRefresh: true });
  }
}

/** Empties the field and leaves the results for the page where the search began. */
function endSearch() {
  field().value = "";
  if (isSearchPage()) location.hash = pageBefore;
}
