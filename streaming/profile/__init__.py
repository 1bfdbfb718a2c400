"""What a listener thinks of which track. No Spark, no I/O but the skip counts.

profile.py        Profile and Opinion, updated event by event; weights of opinions
skip_rates.py     skips of a track by all listeners, stored with the model version
"""
