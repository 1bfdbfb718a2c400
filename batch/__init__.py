"""The offline path: a music library becomes Delta tables, the tables become a model, both become MongoDB documents.

Jobs, in the order in which they run:

download_fma   FMA's archives → a folder of music (optional)
extract        a folder of music → the tables tracks, features, rejected_tracks
train          tables → a model version: LSH index, genre networks, lists of similar tracks, map
evaluate       model and tables → the report card
publish        tables and model → MongoDB

Packages:

library        files, tracks and the tables made of them
audio          decoding and features of a file
tags           title, artist, album … of a file
ear            a music network that hears excerpts
fma            FMA's archives, metadata and published features
index          approximate nearest neighbours
training       the library of a training: columns, sample, all tracks projected on executors
model          what is fitted to the features
discography    albums and artists, with ids, of the published tracks
words          tags of the trained network as words for what a track sounds like
report         the report card
storage        where lake, models and checkpoints lie: a path or a URI
versions       model versions as they come to be, and as they reach the nodes

Shared:

job            the main() of every job
registry       model versions
growth         public: add tracks to a trained index, remove them from it
lake, mongo    Delta tables, MongoDB documents
atomic         replace a file in one step
progress       progress of a long job, in a terminal or a log
"""
