"""Serving a micro-batch, in the driver or in a Python worker.

microbatch.py     reads profiles, applies events, makes and writes lists, each event once
in_workers.py     a large micro-batch, by tasks of a Spark job
admitted.py       the values that are events to count
isolation.py      one listener's trouble: served by halves, down to the listener alone
set_aside.py      listeners who cannot be served, with their waiting events
deletion.py       a deletion holds whatever is written meanwhile
mixes.py          named lists beside them, when they are due
writes.py         documents over those that were read, and their copies on the topic
values.py         what serving takes and gives
context.py        what serving needs to know
clients.py        what a process keeps: connections, the index
mutings.py        rows of muted artists and genres, whatever their spelling
"""
