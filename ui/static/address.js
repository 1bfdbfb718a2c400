// Addresses of pages ("#/artist/Bach") and paths of the server's routes. Anybody can write a link, so no part of an
// address may lead out of the folder it stands in.

/**
 * The decoded parts of a page's address: ["artist", "Bach"] for "#/artist/Bach".
 * @param {string} [hash]
 * @returns {string[] | null} null where an escape is broken or a part is "." or ".."
 */
export function segments(hash = location.hash) {
  try {
    const parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    return parts.some(isDotSegment) ? null : parts;
  } catch {
    return null; // a broken escape such as "%E0"
  }
}

/**
 * A path on the server with each part as one segment: "/audio/a%2Fb" for pathTo("audio", "a/b").
 * A part that is "." or ".." becomes one that no route matches.
 * @param {...string} parts
 */
export const pathTo = (...parts) => `/${parts.map(encodeSegment).join("/")}`;

/** @param {string} part */
const encodeSegment = (part) => (isDotSegment(part) ? "%00" : encodeURIComponent(part));

// The browser resolves these before it sends the request, also when they are escaped.
/** @param {string} part */
const isDotSegment = (part) => part === "." || part === "..";
