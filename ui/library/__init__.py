"""The library as people see it: albums, artists and tracks.

albums      albums in MongoDB
artists     artists in MongoDB
track_table all tracks, sorted and in pages
near        albums and artists near to some tracks
routes      the pages, and the parts of their lists
"""
