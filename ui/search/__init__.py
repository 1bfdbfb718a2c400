"""Search over the whole library, in memory.

terms       texts as terms without case, diacritics and punctuation
term_index  entries by the beginnings of their terms
vocabulary  terms that are a typing error away
ranked      matches, the best of which are taken without sorting all
entries     albums, artists and playlists by name
index       the library in memory
grouped     what a query finds, in groups, with the best hit
building    the index made of what is published
live_index  the index as it follows what is published
routes      the page of results, and tracks for fields that name one
words       tracks by words for their sound: word search, moods, colours of the map
"""
