// Requests to the player's server. A failure is an answer like any other, never an exception.

/**
 * @template T
 * @typedef {(T & Success) | Failure} Answer
 */
/** @typedef {{ ok: true, status: number }} Success */
/** @typedef {{ ok: false, status: number, error: string }} Failure status 0: the server cannot be reached */
/** @typedef {{ html: string }} Html markup that the server has escaped */

const MAX_KEPT_ALIVE = 20_000; // letters; browsers refuse more than 64 kB of requests that outlive the page, in UTF-8
const UNREACHABLE = "Can't reach the player. Try again in a moment.";

/**
 * Fetches JSON or, from the routes of pages, HTML.
 * @template T
 * @param {string} path
 * @returns {Promise<Answer<T>>}
 */
export const get = (path) => request(path, {});

/**
 * Sends JSON. The request outlives the page, unless it is a long one, so that the last events of a visit arrive.
 * @template T
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Answer<T>>}
 */
export const post = (path, body) => {
  const text = JSON.stringify(body);
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: text,
    keepalive: text.length <= MAX_KEPT_ALIVE,
  });
};

/**
 * Sends a file as it is.
 * @template T
 * @param {string} path
 * @param {Blob} file
 * @param {string} type
 * @returns {Promise<Answer<T>>}
 */
export const postFile = (path, file, type) =>
  request(path, { method: "POST", headers: { "Content-Type": type }, body: file });

const TOO_MANY = 429;

/**
 * Whether a failure passes by itself: the server cannot be reached, or cannot answer now, or not so much at once.
 * @param {number} status
 */
export const isTemporary = (status) => status === 0 || status === TOO_MANY || status >= 500;

/**
 * Waits, before a request is made again.
 * @param {number} milliseconds
 * @returns {Promise<void>}
 */
export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<any>}
 */
async function request(path, options) {
  try {
    const response = await fetch(path, options);
    const { ok, status } = response;
    const type = response.headers.get("content-type") ?? "";
    const isJson = type.startsWith("application/json");
    if (!isJson && !isTrustedHtml(response, type)) return { ok: false, status, error: "Page not found." };
    const body = isJson ? await response.json() : { html: await response.text() };
    if (!ok) return { ok, status, error: body.error ?? `The server refused the request (status ${status}).` };
    return { ...(Array.isArray(body) ? { list: body } : body), ok, status };
  } catch {
    return { ok: false, status: 0, error: UNREACHABLE };
  }
}

/**
 * Whether an answer may be put into the page as markup. Only the pages' own routes escape what they send; a file of the
 * library may hold anything.
 * @param {Response} response
 * @param {string} type
 */
const isTrustedHtml = (response, type) =>
  type.startsWith("text/html") && response.url.startsWith(`${location.origin}/view/`);
