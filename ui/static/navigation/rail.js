// The rail of pages, which a phone shows as tabs with a menu for the others, and the links that skip to parts of the page.

import { find, findAll, required } from "../page/dom.js";
import { openMenu } from "../page/menu.js";

/** Lets the links that skip move the focus, and leave the address as it is. */
export function wireSkipLinks() {
  for (const link of findAll("#skip-links a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the address names the page
      skipTo(link.dataset.skipTo ?? "");
    });
  }
}

/**
 * Marks the link of the page that is shown.
 * @param {string | undefined} kind of the page
 */
export function markCurrentLink(kind) {
  for (const link of links()) {
    if (kindOf(link) === kind) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isBehindMore = links().some((link) => link.hasAttribute("aria-current") && !link.classList.contains("tab"));
  find("#more-pages")?.classList.toggle("is-current", isBehindMore);
}

/**
 * The pages that are no tabs, as a menu.
 * @param {HTMLElement} button
 */
export function openPagesMenu(button) {
  const others = links().filter((link) => !link.classList.contains("tab"));
  const items = others.map((link) => ({ label: link.textContent ?? "", action: () => link.click() }));
  openMenu(button, items, "Pages");
}

const links = () => findAll("#nav a");

/** @param {HTMLElement} link */
const kindOf = (link) => (link.getAttribute("href") ?? "").replace(/^#\//, "");

/** @param {string} part */
function skipTo(part) {
  const target = part === "player" ? required("#play-pause") : contentHeading();
  if (part !== "player") target.tabIndex = -1;
  target.focus();
}

/** The first heading in view, from which Tab goes on into the page. */
function contentHeading() {
  const headings = findAll("#similar h2, #content h2");
  return headings.find((heading) => heading.checkVisibility()) ?? required("#content");
}
