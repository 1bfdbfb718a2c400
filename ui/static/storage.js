// Values that this browser keeps between visits. A private window may refuse to: then nothing is kept, and nothing fails.

const PREFIX = "overtone.";

/**
 * @param {string} name
 * @returns {string | null}
 */
export function loadText(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
export function saveText(name, text) {
  try {
    localStorage.setItem(PREFIX + name, text);
  } catch {
    // storage is full or refused
  }
}

/**
 * What was saved as JSON; null where there is nothing, or nothing readable.
 * @param {string} name
 * @returns {any}
 */
export function loadJson(name) {
  try {
    return JSON.parse(loadText(name) ?? "null");
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
export const saveJson = (name, value) => saveText(name, JSON.stringify(value));

/**
 * The names that begin so and have a value.
 * @param {string} prefix
 * @returns {string[]}
 */
export function storedNames(prefix) {
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX + prefix));
    return names.map((name) => name.slice(PREFIX.length));
  } catch {
    return [];
  }
}

/** @param {string} name */
export function forget(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch {
    // storage is refused
  }
}
