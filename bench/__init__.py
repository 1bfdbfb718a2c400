"""Measurements: each prints a table, most also write JSON. They start what they need; data that are generated are called so.

extract, features          ▶ extraction beside a pool of processes · real and generated features for the others
index, recordings          ▶ neighbours beside exact search, hnswlib and MLlib · copies that are found to be one recording
index_in_spark               rows of `index` that need Spark
ear, words                 ▶ the trained ear by part and variant · the numbers of the vocabulary of words for the sound
space, genre               ▶ metrics and hubness, both blocks beside one · genre networks beside support vector machines
both_blocks, audio_songs     tables of `space` for a folder of audio · its songs by the product's extraction
lists, stream              ▶ what a list costs · event to list, events a second
stream_cluster               `stream` on a standalone cluster: processor time of executors and driver
taste, taste_weeks         ▶ simulated listeners for an evening · for weeks (weeks/)
scale                      ▶ what larger sizes need, computed from figures and assumptions
player, search             ▶ the player over a large library, a hundred clients · search in memory
player_library               the made library of `player`
start                      ▶ start and end of a Spark job
generated_library, session   vectors, index and documents of a generated library · a Spark session with the jobs' configuration
"""
