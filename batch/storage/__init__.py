"""Where lake, models and checkpoints lie: a local path or a URI (s3a://, gs://, abfss://, hdfs://), read and written alike.

locations  what a location is: its scheme, its Arrow file system, its name for Hadoop
hdfs       HDFS as an Arrow file system
objects    small objects and files at a location: read, write, list, remove
parquet    Parquet that Spark wrote, read a few rows at a time
spark      what Spark must be told of an S3 server, and of HDFS's name node
compaction small files of a Delta table written together
lease      one writer at a time, where the store itself does not see to it
"""
