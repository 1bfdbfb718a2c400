"""The offline path: a music library becomes tables, the tables become models, both become documents.

library.py       the audio files under a folder
audio.py         a file's samples → 189 numbers (knows nothing of Spark)
tags.py          what a file says of itself
tracks.py        the tables `tracks` and `rejected_tracks`; which file is which track
features.py      the table `features`; the pandas UDF that reads files
extract.py     ▶ folder → Delta
lake.py          Delta in, Delta out
index.py         nearest neighbours by hashed bands (numpy)
similarity.py    MLlib's scaler, PCA and LSH → an index
genre.py         MLlib's multilayer perceptron → genre posteriors
registry.py      model versions on disk
train.py       ▶ features → models/<version>/
mongo.py         upserts
publish.py     ▶ Delta + model → MongoDB
"""
