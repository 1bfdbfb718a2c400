"""Audio files to numbers. Nothing here imports Spark.

decoding        a file → blocks of mono samples, by the decoder that reads it rightly
by_libsndfile   WAV, AIFF, FLAC, Ogg, Opus and MP3
by_ffmpeg       MP4 and AAC, and what libsndfile misjudges
recording       what both give: a part of a file, its mono signal, its limits
containers      what a file is, told by its bytes
mpeg_frames     the real length of an MP3
flac_frames     the real length of a FLAC
ogg_pages       whether an Ogg breaks off, and its links
file_part       a part of a file as a file of its own
spectra         samples → magnitude spectra, their mel bands, their octaves' peaks and valleys (librosa)
features        a file → 189 features, and what the trained ear hears in it
worker          call a function in a subprocess with time and memory limits
"""
