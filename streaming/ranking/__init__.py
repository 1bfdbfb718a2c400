"""Ranking: a profile and the index become a list. Numbers only.

user_vector      liked and rejected tracks with their weights; interests: their clusters
neighbour_cache  the index with per-process caches
candidate_pool   what a list is taken from, and what the listener did with it
attraction       how strongly candidates are drawn and pushed away; what counts as near
tiers            what comes before what
turns            whose turn each place is, by due shares
exploration      tracks from elsewhere
mmr              places by turns, with variety and the artist cap, for many lists at a time
reasons          why an item is there
ranker           all of it: the list
mixes            named lists beside it: a mix for each interest, "Discover", "Rediscover"
"""
