"""The page as HTML.

layout     the page as Gradio Blocks: search, similar tracks, and the frame for ui/static/
rendering  the other pages from Jinja templates, in templates/
cards      cards and lists of tracks
covers     generated cover pictures
licences   licences by their usual names
"""
