"""The ways around the page: links that skip to its parts, and the rail of pages, which becomes tabs below on a phone."""

from __future__ import annotations

from typing import NamedTuple


class PageLink(NamedTuple):
    """An entry of the rail. is_tab : whether a phone shows it as a tab; the others are in the menu "More" """

    address: str
    label: str
    icon: str
    is_tab: bool = False


PAGE_ICONS = {
    "home": "M4 11 12 4l8 7v8.5a.8.8 0 0 1-.8.8H15v-6H9v6H4.8a.8.8 0 0 1-.8-.8z",
    "search": "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.3 15.3 20.5 20.5",
    "album": "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zm0 6a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
    "artist": "M12 4a3.8 3.8 0 1 1 0 7.6A3.8 3.8 0 0 1 12 4zM4.5 20.5c.5-4 3.5-5.8 7.5-5.8s7 1.8 7.5 5.8",
    "track": "M9 17.5V5.5l10-2v12M9 17.5a2.7 2.7 0 1 1-5.4 0 2.7 2.7 0 0 1 5.4 0zm10-2a2.7 2.7 0 1 1-5.4 0"
    " 2.7 2.7 0 0 1 5.4 0z",
    "genre": "M4 4h7l9 9-7 7-9-9zM8 8h.01",
    "mood": "M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM8.5 14c1.8 2.3 5.2 2.3 7 0M9 9.5h.01M15 9.5h.01",
    "playlist": "M4 6h16M4 11h16M4 16h8M17 14.5v6l4-3z",
    "like": "M12 20.2 4.6 13a4.8 4.8 0 0 1 6.8-6.8l.6.6.6-.6a4.8 4.8 0 0 1 6.8 6.8z",
    "map": "M3.5 6.5 9 4l6 2.5L20.5 4v13.5L15 20l-6-2.5L3.5 20zM9 4v13.5M15 6.5V20",
    "sound": "M4 10.5v3M8 7.5v9M12 4v16M16 8v8M20 10.5v3",
    "history": "M4.5 8.5A8.5 8.5 0 1 1 3.5 12M4 4v4.5h4.5M12 7.5V12l3.2 2",
    "settings": "M4 7h9M17 7h3M4 12h3M11 12h9M4 17h7M15 17h5M15 4.8v4.4M9 9.8v4.4M13 14.8v4.4",
    "more": "M5 12h.01M12 12h.01M19 12h.01",
}
"""Paths of outlined icons on a grid of 24."""

GROUPS: tuple[tuple[str, tuple[PageLink, ...]], ...] = (
    ("", (PageLink("#/", "Home", "home", True), PageLink("#/search", "Search", "search", True))),
    (
        "Library",
        (
            PageLink("#/albums", "Albums", "album", True),
            PageLink("#/artists", "Artists", "artist"),
            PageLink("#/tracks", "Tracks", "track"),
            PageLink("#/genres", "Genres", "genre"),
            PageLink("#/moods", "Moods", "mood"),
            PageLink("#/playlists", "Playlists", "playlist"),
        ),
    ),
    (
        "Yours",
        (
            PageLink("#/reactions", "Your likes", "like", True),
            PageLink("#/you", "History", "history"),
            PageLink("#/map", "Map", "map"),
            PageLink("#/sound", "By sound", "sound"),
            PageLink("#/settings", "Settings", "settings"),
        ),
    ),
)

SKIP_LINKS = (
    '<nav id="skip-links" aria-label="Skip"><a href="#content" data-skip-to="content">Skip to content</a>'
    '<a href="#player" data-skip-to="player">Skip to player</a></nav>'
)


def icon(name: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round"'
        f' stroke-linejoin="round" aria-hidden="true" focusable="false"><path d="{PAGE_ICONS[name]}"/></svg>'
    )


def rail(brand: str) -> str:
    """The rail of pages. brand : markup of the name at its top"""
    groups = "".join(
        f'<div class="nav-group">{f"<p>{title}</p>" if title else ""}{"".join(_entry(link) for link in links)}</div>'
        for title, links in GROUPS
    )
    more = (
        '<button type="button" id="more-pages" data-action="more-pages" aria-haspopup="menu" aria-expanded="false">'
        f"{icon('more')}<span>More</span></button>"
    )
    return f'{SKIP_LINKS}<div id="side">{brand}<nav id="nav" aria-label="Pages">{groups}{more}</nav></div>'


def _entry(link: PageLink) -> str:
    tab = ' class="tab"' if link.is_tab else ""
    return f'<a href="{link.address}"{tab}>{icon(link.icon)}<span>{link.label}</span></a>'
