"""Serving a micro-batch, in the driver or in a Python worker.

microbatch.py     reads profiles, applies events, makes and writes lists, each event once
clients.py        what a process keeps: connections, the index
mutings.py        rows of muted artists and genres, whatever their spelling
"""
