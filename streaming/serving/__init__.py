"""Serving a micro-batch, in the driver or in a Python worker.

microbatch.py     reads profiles, applies events, makes and writes lists, each event once
mixes.py          named lists beside them, when they are due
writes.py         documents over those that were read, and their copies on the topic
context.py        what serving needs to know
clients.py        what a process keeps: connections, the index
mutings.py        rows of muted artists and genres, whatever their spelling
"""
