"""A listener's playlists.

cards   playlists as cards, with the covers of their tracks
store   playlists in MongoDB, each change atomic
routes  the routes, and the JSON bodies that pages may send
"""
