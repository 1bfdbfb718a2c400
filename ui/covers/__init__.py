"""Covers of albums and tracks.

drawn   a picture drawn from an id, where the music has none
routes  the routes
"""
