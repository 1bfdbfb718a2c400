"""The demo's library: whether it has to be read, reading it, and noticing when it changes.

up_to_date  what the batch jobs have to do, without starting Spark
batch_run   extract, train and publish as a process of the demo, which waits for it or goes on meanwhile
watch       notices new, changed and removed music
"""
