"""Approximate nearest neighbours over numpy arrays: multi-probe LSH with collision counting, memory-mapped.

No Spark.

lsh            Index: open, neighbours, similar, like, rows_of
projection     features → points → sketches and hash keys
hash_tables    sorted hash tables, buckets, collision counts
building       an index made of features, its local scales, its recall
pieces         an index written to its folder piece by piece
storage        an index's folder, checked when it is opened
segments       append-only segments with tombstones and compaction
updates        append and remove tracks (public as batch.growth)
recordings     which tracks are one recording, by distance or by artist, title and length
tuning         which hash parameters and bucket length reach the target recall
exact          exact distances and neighbours, and the shortlist they are for; recall and precision of rankings
hubness        k-occurrence counts, their skewness, reachability
"""

from batch.index.lsh import Index as Index
