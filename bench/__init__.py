"""Measurements: each prints a table and writes JSON. They start what they need and use made data, which they say."""
