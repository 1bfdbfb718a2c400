"""Delta tables of the durable lane.

commits.py              commits that overlook no other one
delta_append.py         appends rows once, by delta-rs
upkeep.py               retention and compaction
recommendation_rows.py  lists of the topic, "For you" and named ones → rows
skip_rate_table.py      listening events → how many listeners skip and finish each track
"""
