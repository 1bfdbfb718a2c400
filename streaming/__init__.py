"""The online path: listening events from Kafka become each listener's profile and list.

Jobs (▶ run by spark-submit.sh):
recommend.py    ▶ Kafka events → profiles and lists → MongoDB and the topic `recommendations`: the fast lane
ledger.py       ▶ both topics → Delta tables: the durable lane
feed.py         ▶ MongoDB `tracks` → topic `track-features`
catalogue.py    ▶ topic `track-features` → the index, while it is in use
replay.py       ▶ stored events once more, with another model or other settings

What is stored or sent:
events.py         the listening event on its topic: Event, encode, parse
event_fields.py   the fields of its JSON, each kind with its reader
track_message.py  a track's value on the topic `track-features`
documents.py      MongoDB: lists, mixes, deletions, refusals, feeds, what is set aside
schemas.py        Delta: listening_events, rejected_events, recommendations, mixes, skip_rates

Rooms, in the order in which an event passes them:
source/           Kafka topics and how Spark reads them
admission/        which events count
profile/          events → opinions of tracks; here a skip is weighed
ranking/          profile + index → list; here candidates are ranked
serving/          a micro-batch: read, count, rank, write
sink/             rows to Delta
operations/       supervision, metrics
"""
