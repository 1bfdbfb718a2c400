"""The page's frame as Gradio Blocks; the scripts in ui/static/ do the rest. docs/player.md tells what is Gradio's, and why.

The scripts create the player bar and the audio element outside of what Gradio renders, so that nothing Gradio redraws can
interrupt playback. They fetch "For you" too, since it changes without a user's action; see ui/routes/events.py.
"""

from __future__ import annotations

import os
from html import escape

from ui.page import navigation
from ui.search.terms import MAX_QUERY_LENGTH
from ui.static_files import LASTING_PREFIX

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr

HEAD = (
    f'<link rel="stylesheet" href="{LASTING_PREFIX}/css/main.css">'
    f'<script type="module" src="{LASTING_PREFIX}/main.js"></script><meta name="color-scheme" content="light dark">'
)
THEME = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
"""Fonts of the listener's machine: a named web font would be fetched from a third party."""

BRAND = (
    '<div class="brand"><svg viewBox="0 0 32 32" aria-hidden="true">'
    '<path d="M4 16q3-12 6 0t6 0 6 0 6 0" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round"/>'
    "</svg><h1>Overtone</h1></div>"
)
HOME = """
<div id="content" tabindex="-1">
<div id="view" hidden></div>
<div id="home-view">
  <div class="steered">
  <section id="steering" aria-label="Tune recommendations">
    <label for="adventure">Familiar</label>
    <input id="adventure" type="range" min="0" max="100" step="5" value="50" aria-label="From familiar to adventurous">
    <span aria-hidden="true">Adventurous</span>
    <span id="muted-chips"></span>
  </section>
  <section id="for-you" aria-label="For you" data-complete-share="{share}"></section>
  </div>
  <div id="home-more"></div>
</div>
</div>
"""
SEARCH = (
    '<form id="search" role="search" aria-label="Library"><input type="search" name="q" autocomplete="off" spellcheck="false" '
    f'enterkeyhint="search" maxlength="{MAX_QUERY_LENGTH}" placeholder="Artists, albums, tracks, moods" '
    'aria-label="Search artists, albums, tracks, moods"></form>'
)
LISTENER = (
    '<div><button type="button" id="theme" data-action="theme" title="Switch theme" '
    'aria-label="Switch between light and dark theme">'
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18" '
    'stroke="currentColor" stroke-width="2" fill-opacity=".25"/></svg></button>'
    '<button type="button" id="listener" data-action="listener" aria-haspopup="dialog">Choose listener</button></div>'
)


def build(complete_share: float = 0.9) -> gr.Blocks:
    """The page.

    complete_share : share of a track from which a play counts as complete; below it is a skip
    """
    page = gr.Blocks(title="Overtone", analytics_enabled=False)
    with page:
        _html(navigation.rail(BRAND), "rail")
        with gr.Row(elem_id="top"):
            _html(SEARCH, "find")
            _html(LISTENER, "who")
        _html('<div id="notice" role="status" aria-live="polite" hidden></div>', "notices")
        _html('<div id="similar"></div>', "similar-tracks")
        _html(HOME.format(share=escape(str(complete_share))), "home")
    return page


def _html(value: str, elem_id: str) -> gr.Markdown:
    """Markup as it is. gr.HTML would compile it as a template, for which the content security policy would have to allow `eval`.

    value : one element, without empty lines, which would end it as markup
    """
    return gr.Markdown(value, elem_id=elem_id, sanitize_html=False, container=False)
