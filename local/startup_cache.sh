# shellcheck shell=bash disable=SC2154 # overtone_java is set by setup.sh
# Builds the Java startup cache: CDS archives (class data sharing) of the classes that jobs and broker load, so that they start sooner.
# Sourced by setup.sh. Optional: where it cannot be built, commands run without it.

# overtone_startup_cache_folder PROJECT: prints the folder of this Java build's archives.
overtone_startup_cache_folder() {
  echo "$1/.venv/jars/classes-$overtone_java"
}

# Succeeds where nothing is to be built: done before (or failed), being built, or not used by this Spark or master.
overtone_has_startup_cache() {
  [ -e "$(overtone_startup_cache_folder "$1")/done" ] || [ -n "${ARCHIVE_CLASSES_TO:-}" ] || [ -n "${SPARK_HOME:-}" ] ||
    [[ ${MASTER:-local} != local* ]]
}

overtone_build_startup_cache() {
  local project=$1 folder lock status=0
  folder=$(overtone_startup_cache_folder "$project")
  mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || return 0
  exec {lock}>"$folder/lock"
  command -v flock >/dev/null && flock "$lock" # two commands at once: the second waits for the first
  if [ ! -e "$folder/done" ]; then
    echo "overtone: building the Java startup cache, once (about a minute); later starts are quicker …" >&2
    (
      trap 'exit 130' INT TERM HUP # Java exits with 0 on these signals, so bash alone would go on
      mkdir -p "$folder/work"
      overtone_cache_spark "$project" "$folder" || echo "overtone: jobs start without it, see $folder/log" >&2
      overtone_cache_kafka "$project" "$folder" || echo "overtone: the broker starts without it, see $folder/log" >&2
      touch "$folder/done"
      # Keep the newest two: some people switch between two Javas.
      find "$project/.venv/jars" -maxdepth 1 -name 'classes-*' -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d ' ' -f 2- |
        xargs -rd '\n' rm -rf
    ) || status=$?
  fi
  rm -rf "$folder/work" "$folder"/*.part # while the lock is held, or it would remove the next builder's files
  exec {lock}>&-
  [ "$status" -lt 128 ] || exit "$status"
}

overtone_cache_spark() {
  local project=$1 folder=$2 name others=()
  for name in MASTER PYSPARK_PYTHON PYSPARK_SUBMIT_ARGS SPARK_CONF_DIR SPARK_DIST_CLASSPATH; do others+=(-u "$name"); done
  env "${others[@]}" ARCHIVE_CLASSES_TO="$folder/spark.part" \
    "$project/spark-submit.sh" "$project/local/startup_cache_workload.py" "$folder/work" >"$folder/log" 2>&1 &&
    overtone_install_archive "$folder" spark
}

overtone_cache_kafka() {
  local project=$1 folder=$2 archive='from local.services import archive_kafka_classes; archive_kafka_classes(sys.argv[1])'
  PYTHONPATH=$project "$project/.venv/bin/python" -P -c "import sys; $archive" "$folder/kafka.part" >>"$folder/log" 2>&1 &&
    overtone_install_archive "$folder" kafka
}

# Installs an archive only when Java accepts it: a truncated one crashes Java, a missing or empty one is ignored.
overtone_install_archive() {
  [ -s "$1/$2.part" ] &&
    java -XX:SharedArchiveFile="$1/$2.part" -XX:ErrorFile=/dev/null -XX:-CreateCoredumpOnCrash -version >/dev/null 2>&1 &&
    mv -f "$1/$2.part" "$1/$2.jsa"
}
