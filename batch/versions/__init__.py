"""Versions of the model as they come to be and as they reach the nodes; `batch.registry` finds them.

new_version   a version in the making
remote_index  the index of a version in an object store, copied once to each node
"""
