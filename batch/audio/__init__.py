"""Audio files to numbers. Nothing here imports Spark.

decoding        a file → blocks of mono samples, by the decoder that reads it rightly
by_libsndfile   WAV, AIFF, FLAC, Ogg, Opus and MP3
by_ffmpeg       MP4 and AAC, and what libsndfile misjudges
recording       what both give: a part of a file, its mono signal, its limits
containers      what a file is, told by its bytes
mpeg_frames     the real length of an MP3
features        samples → 189 features (librosa)
worker          call a function in a subprocess with time and memory limits
"""
