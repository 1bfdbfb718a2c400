"""What is wrong with an installation, and what to do: `python -m local.doctor`. Starts no Spark, and changes nothing that stays.

__main__     ▶ the command
findings       a finding; checks run side by side, each for a limited time
machine        Java, Python, packages, jars, the trained ear
locations      lake, models, checkpoints, library and home: listed, written, free space
mongodb        MongoDB: reachable, a replica set, published tracks, versions of documents, its clock
kafka          Kafka: reachable, the topics and their settings, its clock
models         the latest model version: complete, undamaged, of the features in the lake
tables         the Delta tables: readable, with all files that their log names
checkpoints    the queries' checkpoints against the topics
runs           run.env, leases of writers, ports
"""
