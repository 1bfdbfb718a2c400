// The document's title: what plays, and the page that is open.

const said = { track: "", search: "", page: "" };

/** Takes some of {track, search, page}; empty: none. */
export function showTitle(parts) {
  Object.assign(said, parts);
  document.title = [said.track, said.search || said.page, "Overtone"].filter(Boolean).join(" · ");
}
