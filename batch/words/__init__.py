"""Words for what a track sounds like: the tags of the trained network, calibrated within the library. No Spark.

vocabulary       the words: moods, instruments, voices, genres; their synonyms, and how they stand in a sentence
tag_percentiles  how high each track stands in the library for each word; which words are said of a track
"""
