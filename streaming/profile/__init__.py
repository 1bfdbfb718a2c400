"""Profiles: what a listener's events say of tracks. Numbers only.

profile       the profile and how an event changes it
track_table   numbers by track id
weights       profile → weights of tracks at a time: where a skip, a like and a wish are weighed
documents     profiles as documents of MongoDB, read back from any version
skip_rates    how often all listeners skip a track
"""
