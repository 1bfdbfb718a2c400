"""The offline path: a music library becomes tables, the tables become models, both become documents.

library.py       the audio files under a folder; remote.py: below a URI
decoding.py      a sound file in blocks; audio.py: its samples → 189 numbers (know nothing of Spark)
isolation.py     a function in a process that may die
tags.py          what a file says of itself
tracks.py        the table `tracks`; which file is which track
features.py      the table `features`; the pandas UDF that reads files
rejected.py      the table `rejected_tracks`
extract.py     ▶ folder → Delta; progress.py: how far it is
fma.py           FMA's metadata; fma_features.py: its published features as a library without audio
download.py      one large file by HTTP, resumed where it broke off; meter.py: how many bytes are done
archive.py       a zip onto the disk, each file whole or not at all
download_fma.py ▶ FMA's archives → a folder
lake.py          Delta in, Delta out
labels.py        what a tag says; tags as numbers
pairs.py         exact distances, rankings, and how good they are
space.py         features → points → band keys; metric.py learns what the space weighs
index.py         nearest neighbours by hashed bands (numpy); bands.py, tuning.py; stored.py: its folder
added.py         tracks that came and went since the training; growth.py: adding and removing them without a refit
similarity.py    MLlib's scaler, PCA and LSH → an index; sweep.py: `train --tune`
joined.py        the index as a Spark join, for libraries larger than a node
variety.py       no artist fills a list
genre.py         MLlib's multilayer perceptrons → genre posteriors; network.py (numbers), holdout.py (what is held out)
map2d.py         a map of the library
hubness.py       who stands in how many lists
training_set.py  the tracks that a model is made of
registry.py      model versions on disk
train.py       ▶ features → models/<version>/
evaluate.py    ▶ model and library → the report card; report_measures.py, report_pictures.py, report_page.py
mongo.py         upserts
opening.py       the list for everyone
publish.py     ▶ Delta + model → MongoDB
"""
