// Addresses of pages, and the paths on the server that they lead to. What stands behind "#" is written by whoever made the
// link, so nothing in it may lead out of the pages.

/** The decoded parts of an address such as "#/artist/Bach"; null where one of them would lead elsewhere. */
export function segments(hash = location.hash) {
  try {
    const parts = hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    return parts.some(leadsElsewhere) ? null : parts;
  } catch {
    return null; // a broken escape
  }
}

/** A path on the server, each part one segment of it: pathTo("audio", id). A part that would lead elsewhere finds nothing. */
export const pathTo = (...parts) => `/${parts.map(segment).join("/")}`;

const segment = (part) => (leadsElsewhere(part) ? "%00" : encodeURIComponent(part));

// The browser resolves these before it asks, also when they are escaped.
const leadsElsewhere = (part) => part === "." || part === "..";
