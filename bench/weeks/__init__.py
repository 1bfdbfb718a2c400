"""Simulated listeners over weeks, for bench/taste_weeks.py. Run with this folder itself on the path, beside any checkout.

libraries       made and grown libraries as plain arrays
projection      the space of the benchmarks, as numbers
lists_now       lists by this version of the code
lists_0_1_0     lists by version 0.1.0, for the comparison
simulation    ▶ one method over one library, in a process of its own
"""
