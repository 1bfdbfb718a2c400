"""Which valid events count, decided alike by both lanes.

rules.py          deleted listeners, unknown tracks, clocks that are ahead
"""
