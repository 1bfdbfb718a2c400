"""Covers of albums and tracks.

covers      an album's cover: from the cache on disk, else found and made
candidates  where the picture of an album or track may be: in its files, beside them
reading     what runs in a process of its own: pictures out of audio files and folders
embedded    pictures inside of audio files
thumbnails  pictures checked and made small
store       thumbnails on disk
drawn       a picture drawn from an id, where the music has none
routes      the routes
"""
