"""Audio as the browser gets it, and what is computed from it.

streaming    a track's audio over HTTP, with ranges, also from an object store
transcoding  MP3 made on the way of what a browser cannot play, with ranges
mp3          MP3 frames of any piece of an audio file
analysis     waveform peaks, pictures and features, computed in a child process
pictures     waveforms and spectrograms as PNG
similarity   queries on the model's index: nearest tracks, song paths
"""
