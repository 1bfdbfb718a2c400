// The names used in this browser, to choose from. Nothing but names is kept.

import { loadJson, saveJson } from "../storage.js";

const STORED_AS = "names";
const MAX_NAMES = 12;

/** @typedef {{ name: string, hasAccount: boolean }} KnownName */

/** @returns {KnownName[]} the latest first */
export function knownNames() {
  const stored = loadJson(STORED_AS);
  if (!Array.isArray(stored)) return [];
  const names = stored.filter((each) => typeof each?.name === "string" && each.name);
  return names.slice(0, MAX_NAMES).map(({ name, hasAccount }) => ({ name, hasAccount: Boolean(hasAccount) }));
}

/**
 * @param {string} name
 * @param {boolean} hasAccount whether it needs a password
 */
export const rememberName = (name, hasAccount) => saveJson(STORED_AS, [{ name, hasAccount }, ...others(name)].slice(0, MAX_NAMES));

/** @param {string} name */
export const forgetName = (name) => saveJson(STORED_AS, others(name));

/** @param {string} name names are the same in every case */
const others = (name) => knownNames().filter((each) => each.name.toLowerCase() !== name.toLowerCase());
