"""Tags of audio files (mutagen), and what stands in for them. Nothing here imports Spark.

file_tags    a file's title, artist, album … from the best of its tags, else from its name and folders
sources      the tags that a file has, best first: Vorbis comments, ID3, MP4 atoms, APEv2, LIST/INFO, ID3v1
ape          the items of an APEv2 tag
chunks       the tags within WAV and AIFF
values       what a tag's text means: years, numbers, genres
text         names as one line of composed Unicode, whatever code page they were written in
folders      artist, album and disc from the names of folders
"""
