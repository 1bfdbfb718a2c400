// Finding and making elements.

/**
 * The first element that matches, or null.
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement | null}
 */
export const find = (selector, within = document) => within.querySelector(selector);

/**
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {HTMLElement[]}
 */
export const findAll = (selector, within = document) => [
  .../** @type {NodeListOf<HTMLElement>} */ (within.querySelectorAll(selector)),
];

/**
 * The first element that matches. Raises an Error where there is none, or where it is of another class.
 * @template {Element} T
 * @overload
 * @param {string} selector
 * @param {new () => T} type
 * @param {ParentNode} [within]
 * @returns {T}
 */
/**
 * @overload
 * @param {string} selector
 * @returns {HTMLElement}
 */
/**
 * @param {string} selector
 * @param {new () => Element} type
 * @param {ParentNode} within
 */
export function required(selector, type = HTMLElement, within = document) {
  const element = within.querySelector(selector);
  if (element instanceof type) return element;
  throw new Error(`expected ${type.name} at ${selector}, found ${element === null ? "nothing" : "another element"}`);
}

/** @param {string} selector */
export const requiredInput = (selector) => required(selector, HTMLInputElement);

/**
 * An element with properties and children. Names with a dash, "role" and "for" become attributes, "on…" listeners;
 * undefined is left out. Strings among the children stay text.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function create(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/**
 * Markup as a fragment. Only for markup that the server has escaped.
 * @param {string} html
 */
export function parseHtml(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/**
 * A dialog at the end of the page, closed by [data-close], Escape, and a click beside it.
 * @param {string} id
 * @param {string} headingId names the dialog for screen readers
 * @param {string} html fixed markup
 */
export function createDialog(id, headingId, html) {
  const dialog = create("dialog", { id, "aria-labelledby": headingId });
  dialog.innerHTML = html;
  document.body.append(dialog);
  dialog.addEventListener("click", (event) => {
    const isOnClose = event.target instanceof Element && event.target.closest("[data-close]");
    if (isOnClose || isBeside(dialog, event)) dialog.close();
  });
  return dialog;
}

/**
 * Whether a click is on the dialog's backdrop: such clicks come to the dialog itself.
 * @param {HTMLDialogElement} dialog
 * @param {MouseEvent} click
 */
function isBeside(dialog, { target, clientX, clientY }) {
  const box = dialog.getBoundingClientRect();
  const isInside = clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
  return target === dialog && !isInside;
}

/**
 * Whether any of an element is within the window.
 * @param {HTMLElement} element
 */
export function isInView(element) {
  const { top, bottom, left, right } = element.getBoundingClientRect();
  const isDrawn = element.getClientRects().length > 0;
  return isDrawn && bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
}

/** Whether the listener asked the system for less motion. */
export const prefersReducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
