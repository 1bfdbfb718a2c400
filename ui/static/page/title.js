// The document's title: the current track, and the page that is open.

const parts = { track: "", page: "" };

/**
 * Changes some parts of the title; empty: none.
 * @param {Partial<typeof parts>} changes
 */
export function showTitle(changes) {
  Object.assign(parts, changes);
  document.title = [parts.track, parts.page, "Overtone"].filter(Boolean).join(" · ");
}
