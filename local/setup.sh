# shellcheck shell=bash
# Sets up what the commands need, once: .venv from requirements.txt, the jars, the trained ear, and the Java startup cache.
# Quick when all is there.
# Sourced by demo.sh, test.sh and spark-submit.sh.
# shellcheck source=local/startup_cache.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/startup_cache.sh"

overtone_fail() {
  echo "overtone: $*" >&2
  exit 1
}

overtone_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

overtone_require_java() {
  local banner version
  # Spark prefers JAVA_HOME to the PATH; check the Java that it will use.
  if [ -n "${JAVA_HOME:-}" ]; then
    if [ -x "$JAVA_HOME/bin/java" ]; then PATH=$JAVA_HOME/bin:$PATH; else unset JAVA_HOME; fi
  fi
  command -v java >/dev/null || overtone_fail "no Java; install Java 17, for example: apt install openjdk-17-jre-headless"
  banner=$(java -version 2>&1 || true)
  version=$(sed -n 's/.*version "\([0-9]*\).*/\1/p' <<<"$banner" | head -n 1)
  overtone_java=${version:-0}-$(cksum <<<"$banner" | cut -d ' ' -f 1) # identifies this build
  [ "${version:-0}" -ge 17 ] ||
    overtone_fail "Java ${version:-of unknown version} found, 17 or newer needed, for example: apt install openjdk-17-jre-headless"
}

# overtone_setup PROJECT [dev]: with `dev`, what the tests need besides.
overtone_setup() {
  overtone_require_java
  overtone_install "$@"
  overtone_ear "$1"
  overtone_has_startup_cache "$1" || overtone_build_startup_cache "$1"
}

overtone_install() {
  local project=$1 kind=${2:-run} venv=$1/.venv python wanted requirements lock
  requirements=$project/requirements.txt
  [ "$kind" = run ] || requirements=$project/requirements-dev.txt
  # The stamp is a checksum of the requirement files: a change installs again.
  wanted=$(overtone_requirements_sum "$project")
  if [ -x "$venv/bin/python" ] && grep -qsxF "$wanted" "$venv/.overtone-$kind"; then return; fi
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || overtone_fail "needs Linux on x86-64, this is $(uname -s) on $(uname -m)"
  python=$(overtone_python) ||
    overtone_fail "no Python 3.11, 3.12 or 3.13 with venv; install one, for example: apt install python3 python3-venv"
  exec {lock}>"$project/.venv.lock"
  command -v flock >/dev/null && flock "$lock" # two commands at once: the second waits for the first
  if ! grep -qsxF "$wanted" "$venv/.overtone-$kind"; then
    echo "overtone: setting up .venv, once (about 2 minutes) …" >&2
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv" || overtone_fail "$python could not make $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 ||
      overtone_fail "pip could not install $requirements; its message is above, a second try goes on from here"
    overtone_jars "$project"
    overtone_warm_up "$project"
    echo "$wanted" >"$venv/.overtone-$kind"
    [ "$kind" = run ] || echo "$wanted" >"$venv/.overtone-run"
  fi
  exec {lock}>&-
}

overtone_requirements_sum() {
  cat "$1"/requirements*.txt "$1/constraints.txt" "$1/conf/ivy.xml" | cksum
}

# librosa compiles its kernels at first use; here they are compiled and cached once for every worker.
overtone_warm_up() {
  PYTHONPATH=$1 "$1/.venv/bin/python" -P -c 'from batch.audio.features import warm_up; warm_up()'
}

# The trained ear's graph, made of the weights that the package musicnn carries. Optional: without it tracks are compared by their
# MFCCs alone. Tried once for each version of the graph; .venv/bin/python -m batch.ear.graph tries again.
overtone_ear() {
  local project=$1 venv=$1/.venv wanted lock
  wanted=$(cat "$project/batch/ear/graph.py" "$project/batch/ear/wheel.py" | cksum)
  if grep -qsxF "$wanted" "$venv/ear/tried"; then return; fi
  mkdir -p "$venv/ear" 2>/dev/null && [ -w "$venv/ear" ] || return 0
  exec {lock}>"$venv/ear/lock"
  command -v flock >/dev/null && flock "$lock" # two commands at once: the second waits for the first
  if ! grep -qsxF "$wanted" "$venv/ear/tried"; then
    PYTHONPATH=$project "$venv/bin/python" -P -m batch.ear.graph || true # it says why not
    echo "$wanted" >"$venv/ear/tried"
  fi
  exec {lock}>&-
}

# overtone_uses_s3 PROJECT: whether lake, models or checkpoints lie on S3.
overtone_uses_s3() {
  local settings=${SPARK_CONF_DIR:-$1/conf}/settings.toml
  env | grep -Eq '^OVERTONE_(LAKE__ROOT|MODELS__ROOT|STREAM__CHECKPOINTS)=s3a?://' ||
    { [ -f "$settings" ] && grep -Eq "^[^#]*(root|checkpoints)[\"']? *= *[\"']s3a?://" "$settings"; }
}

# The jars of S3A, fetched into .venv/jars/s3 once they are needed.
overtone_s3_jars() {
  local project=$1 jars=$1/.venv/jars lock
  [ ! -e "$jars/s3" ] || return 0
  exec {lock}>"$project/.venv.lock"
  command -v flock >/dev/null && flock "$lock" # two commands at once: the second waits for the first
  if [ ! -e "$jars/s3" ]; then
    echo "overtone: fetching S3A, once …" >&2
    overtone_retrieve "$project" "$jars/s3.part" s3
    mv "$jars/s3.part/s3" "$jars/s3"
    rm -rf "$jars/s3.part"
  fi
  exec {lock}>&-
}

# overtone_retrieve PROJECT FOLDER CONFIGURATION…: jars of conf/ivy.xml into FOLDER/CONFIGURATION.
overtone_retrieve() {
  local project=$1 part=$2 venv=$1/.venv ivy
  shift 2
  ivy=$(ls "$venv"/lib/python3*/site-packages/pyspark/jars/ivy-*.jar)
  rm -rf "$part"
  java -jar "$ivy" -warn -cache "$venv/ivy" -m2compatible -ivy "$project/conf/ivy.xml" -confs "$@" \
    -retrieve "$part/[conf]/[artifact]-[revision].[ext]" >"$venv/ivy.log" 2>&1 ||
    { tail -n 20 "$venv/ivy.log" >&2; overtone_fail "the jars of conf/ivy.xml could not be fetched; a second try goes on from here"; }
}

# The jars of conf/ivy.xml, fetched by the Ivy that PySpark carries, with a cache of its own: a half-filled ~/.m2 fails.
overtone_jars() {
  local project=$1 venv=$1/.venv part=$1/.venv/jars.part
  overtone_retrieve "$project" "$part" spark kafka
  ls "$part"/spark/delta-spark*.jar "$part"/kafka/kafka_*.jar >/dev/null ||
    overtone_fail "the jars of conf/ivy.xml did not all arrive; see $venv/ivy.log"
  rm -rf "$venv/jars"
  mv "$part" "$venv/jars"
}
