"""The page as HTML.

layout     the page as Gradio Blocks: search, similar tracks, and the frame for ui/static/
navigation links that skip to parts of the page, and the rail of pages
rendering  the other pages from Jinja templates, in templates/
cards      cards and lists of tracks
addresses  addresses of covers
wording    lengths, counts, closeness and titles as text
licences   licences by their usual names
"""
