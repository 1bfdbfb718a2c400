"""Running the jobs.

query_job.py      main() of a job that runs one query
supervisor.py     restarts queries and jobs; waits for MongoDB and Kafka
batch_sizes.py    how large micro-batches are, where they are served, by how many tasks
served_model.py   the model version in use, also after it was removed
clocks.py         workers whose clock is off
metrics.py        for Prometheus, and MongoDB's `status`
checkpoint_latency.py  how long micro-batches wait for a checkpoint in a store
health.py         whether the jobs of a process live and serve
http_server.py    /metrics, /healthz and /readyz
"""
