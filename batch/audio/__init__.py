"""Audio files to numbers. Nothing here imports Spark.

decoding   a file → blocks of mono samples (libsndfile, FFmpeg)
features   samples → 189 features (librosa)
tags       title, artist, album … of a file (mutagen)
worker     call a function in a subprocess with time and memory limits
"""
