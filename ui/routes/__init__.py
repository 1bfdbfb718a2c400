"""Routes of the player, one module a purpose; each has a `router` that app.create_app includes. Packages with routes of their own
have them in their module `routes`.

events      listening events, the position in a track, and the news of the list that every open page asks for
accounts    sign-in and sign-out, export and deletion of one's data
audio       a track's audio, waveform and pictures
genres      pages of genres and moods
discover    search fields, radio, song path, search by sound
taste_map   the library in two dimensions
map_regions names on it
pages       the other pages, as HTML for the page's script
operator    the service page and the report card, for operators
health      /healthz and /readyz
schemas     the JSON bodies that pages may send
"""
