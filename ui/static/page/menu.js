// The menu that a button opens: of a track, of pages, or of the sleep timer. One for all buttons, rebuilt whenever it opens.

import { create, find, findAll, required } from "./dom.js";

/**
 * @typedef {object} MenuItem
 * @property {string} label
 * @property {() => unknown} action
 * @property {boolean} [isChecked] of an item that is on or off
 */

const MARGIN_PX = 8; // to the window's edges
const GAP_PX = 4; // to the button

/** @type {HTMLElement | null} the button that opened the menu */
let opener = null;
let openedAtPx = 0; // the button's place in the window, from its top

/**
 * Opens a menu beside a button.
 * @param {HTMLElement} button
 * @param {MenuItem[]} items
 * @param {string} [label] what they are for
 */
export function openMenu(button, items, label = "Track") {
  closeMenu();
  opener = button;
  openedAtPx = button.getBoundingClientRect().top;
  button.setAttribute("aria-expanded", "true");
  const menu = create("div", { id: "menu", role: "menu", "aria-label": label }, ...items.map(menuItem));
  document.body.append(menu);
  placeBeside(menu, button.getBoundingClientRect());
  menu.addEventListener("keydown", onKey);
  required("#menu button").focus();
}

function closeMenu() {
  const menu = find("#menu");
  if (!menu) return;
  const hadFocus = menu.contains(document.activeElement);
  menu.remove();
  opener?.setAttribute("aria-expanded", "false");
  if (hadFocus) opener?.focus();
}

/** @param {MenuItem} item */
function menuItem({ label, action, isChecked }) {
  const isToggle = isChecked !== undefined;
  const onclick = () => {
    closeMenu();
    action();
  };
  return create(
    "button",
    {
      type: "button",
      role: isToggle ? "menuitemcheckbox" : "menuitem",
      "aria-checked": isToggle ? String(isChecked) : undefined,
      tabIndex: -1,
      onclick,
    },
    label,
  );
}

/**
 * Below the button where there is room, else above it, and within the window.
 * @param {HTMLElement} menu
 * @param {DOMRect} button
 */
function placeBeside(menu, button) {
  const [width, height] = [menu.offsetWidth, menu.offsetHeight];
  const hasRoomBelow = button.bottom + height + MARGIN_PX < innerHeight;
  const top = hasRoomBelow ? button.bottom + GAP_PX : Math.max(MARGIN_PX, button.top - height - GAP_PX);
  menu.style.left = `${Math.max(MARGIN_PX, Math.min(button.left, innerWidth - width - MARGIN_PX))}px`;
  menu.style.top = `${Math.min(top, Math.max(MARGIN_PX, innerHeight - height - MARGIN_PX))}px`;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  const buttons = findAll("#menu button");
  const current = buttons.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const target = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (target !== undefined) buttons[(target + buttons.length) % buttons.length]?.focus();
  else if (event.key === "Escape" || event.key === "Tab") closeMenu();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Whether the button is elsewhere than when the menu opened: the scroll that ended with the press may still be told of. */
const hasMoved = () => Math.abs((opener?.getBoundingClientRect().top ?? 0) - openedAtPx) > MARGIN_PX;

/** Closes the menu on a click elsewhere, and when the page moves under it. */
export function wireMenu() {
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && !target.closest("#menu, [aria-haspopup=menu]")) closeMenu();
  });
  addEventListener("resize", closeMenu);
  document.addEventListener("scroll", (event) => event.target === document && hasMoved() && closeMenu(), true);
}
