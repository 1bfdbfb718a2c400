"""Search over the whole library, in memory.

index       the tracks of a library and the terms that lead to them
live_index  the index as it follows what is published
words       tracks by words for their sound: word search, moods, colours of the map
"""
