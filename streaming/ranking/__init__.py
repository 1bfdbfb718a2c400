"""From a profile and the index to a list. No Spark, no I/O.

user_vector.py      liked and rejected tracks with their weights
interests.py        clusters of liked tracks, with medoids
neighbour_cache.py  the index with caches: neighbours, id → row; similarity
candidate_pool.py   which tracks are ranked
mmr.py              maximal marginal relevance with an artist cap, for many lists at a time
ranker.py           scores, lists, reasons, exploration
"""
