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
space.py         features → points → band keys; metric.py learns what the space weighs
index.py         nearest neighbours by hashed bands (numpy); bands.py, tuning.py; added.py and growth.py: without a refit
similarity.py    MLlib's scaler, PCA and LSH → an index; sweep.py: `train --tune`
genre.py         MLlib's multilayer perceptrons → genre posteriors; network.py (numbers), holdout.py (what is held out)
map2d.py         a map of the library
hubness.py       who stands in how many lists
training_set.py  the tracks that a model is made of
registry.py      model versions on disk
train.py       ▶ features → models/<version>/
mongo.py         upserts
publish.py     ▶ Delta + model → MongoDB
"""
