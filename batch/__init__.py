"""The offline path: a music library becomes tables, the tables become models, both become documents.

library.py       the audio files under a folder
audio.py         a file's samples → 189 numbers (knows nothing of Spark)
tags.py          what a file says of itself
tracks.py        the tables `tracks` and `rejected_tracks`; which file is which track
features.py      the table `features`; the pandas UDF that reads files
extract.py     ▶ folder → Delta
download.py      one large file by HTTP, resumed where it broke off
archive.py       a zip onto the disk, each file whole or not at all
meter.py         how many bytes of a transfer are done
download_fma.py ▶ FMA's archives → a folder
lake.py          Delta in, Delta out
index.py         nearest neighbours by hashed bands (numpy)
similarity.py    MLlib's scaler, PCA and LSH → an index
genre.py         MLlib's multilayer perceptron → genre posteriors
registry.py      model versions on disk
train.py       ▶ features → models/<version>/
mongo.py         upserts
publish.py     ▶ Delta + model → MongoDB
"""
