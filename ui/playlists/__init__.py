"""A listener's playlists.

store     playlists in MongoDB, each change atomic
cards     playlists as cards, with the covers of their tracks
m3u       M3U files, read and written
matching  the tracks that lines of an M3U file mean
routes    the routes, and the JSON bodies that pages may send
"""
