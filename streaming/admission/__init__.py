"""Which valid events count, decided alike by both lanes.

rules.py            deleted listeners, unknown tracks, clocks that are ahead
named_listeners.py  whom a refused value is of
"""
