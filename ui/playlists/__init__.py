"""A listener's playlists.

store   playlists in MongoDB, each change atomic
routes  the routes, and the JSON bodies that pages may send
"""
