// The menu of a track: what else can be done with it. One menu for all cards, made anew whenever it opens.

import { all, make, one } from "./dom.js";

let opener = null;

/** items: [label, action, isChecked?]; opened beside a button */
export function openMenu(button, items) {
  closeMenu();
  opener = button;
  button.setAttribute("aria-expanded", "true");
  const menu = make(
    "div",
    { id: "menu", role: "menu", "aria-label": "Track" },
    ...items.map(([label, action, isChecked]) =>
      make(
        "button",
        {
          type: "button",
          role: isChecked === undefined ? "menuitem" : "menuitemcheckbox",
          "aria-checked": isChecked === undefined ? undefined : String(isChecked),
          tabIndex: -1,
          onclick: () => {
            closeMenu();
            action();
          },
        },
        label,
      ),
    ),
  );
  document.body.append(menu);
  const place = button.getBoundingClientRect();
  const [width, height] = [menu.offsetWidth, menu.offsetHeight];
  const below = place.bottom + height + 8 < innerHeight ? place.bottom + 4 : Math.max(8, place.top - height - 4);
  menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
  menu.style.top = `${Math.min(below, Math.max(8, innerHeight - height - 8))}px`;
  menu.addEventListener("keydown", onKey);
  one("button", menu).focus();
}

export function closeMenu() {
  const menu = one("#menu");
  if (!menu) return;
  const hadFocus = menu.contains(document.activeElement);
  menu.remove();
  opener?.setAttribute("aria-expanded", "false");
  if (hadFocus) opener?.focus();
}

function onKey(event) {
  const items = all("button", event.currentTarget);
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined) items[(to + items.length) % items.length].focus();
  else if (event.key === "Escape" || event.key === "Tab") closeMenu();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

document.addEventListener("click", (event) => {
  if (one("#menu") && !event.target.closest("#menu") && !event.target.closest("[aria-haspopup=menu]")) closeMenu();
});
addEventListener("resize", closeMenu);
document.addEventListener("scroll", (event) => event.target === document && closeMenu(), true);
