# shellcheck shell=bash
# The classes that Java loads, as it wants them in memory, written down once: jobs and broker then start sooner.
# Sourced by setup.sh. All of it is optional: whatever goes wrong here, commands do without.

# overtone_archives PROJECT: the folder of this very Java's archives.
overtone_archives() {
  echo "$1/.venv/jars/classes-$overtone_java"
}

# Whether nothing is to be done: they are there, or could not be had, or are being written, or nobody would use them.
overtone_has_archives() {
  [ -e "$(overtone_archives "$1")/done" ] || [ -n "${ARCHIVE_CLASSES_TO:-}" ] || [ -n "${SPARK_HOME:-}" ] ||
    [[ ${MASTER:-local} != local* ]]
}

overtone_archive() {
  local project=$1 folder lock status=0
  folder=$(overtone_archives "$project")
  mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || return 0
  exec {lock}>"$folder/lock"
  command -v flock >/dev/null && flock "$lock" # two commands at once: the second waits for the first
  if [ ! -e "$folder/done" ]; then
    echo "overtone: writing down Java's classes, once (about a minute); later starts are quicker …" >&2
    (
      trap 'exit 130' INT TERM HUP # Java ends on these as if it had been asked to, and bash would go on
      mkdir -p "$folder/work"
      overtone_archive_spark "$project" "$folder" || echo "overtone: jobs start without, see $folder/log" >&2
      overtone_archive_kafka "$project" "$folder" || echo "overtone: the broker starts without, see $folder/log" >&2
      touch "$folder/done"
      # Two are kept: some change between two Javas.
      find "$project/.venv/jars" -maxdepth 1 -name 'classes-*' -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d ' ' -f 2- |
        xargs -rd '\n' rm -rf
    ) || status=$?
  fi
  rm -rf "$folder/work" "$folder"/*.part # under the lock: the next one's would be there, too
  exec {lock}>&-
  [ "$status" -lt 128 ] || exit "$status"
}

overtone_archive_spark() {
  local project=$1 folder=$2 name others=()
  for name in MASTER PYSPARK_PYTHON PYSPARK_SUBMIT_ARGS SPARK_CONF_DIR SPARK_DIST_CLASSPATH; do others+=(-u "$name"); done
  env "${others[@]}" ARCHIVE_CLASSES_TO="$folder/spark.part" \
    "$project/spark-submit.sh" "$project/local/classes.py" "$folder/work" >"$folder/log" 2>&1 &&
    overtone_keep_archive "$folder" spark
}

overtone_archive_kafka() {
  local project=$1 folder=$2 archive='from local.services import archive_kafkas_classes; archive_kafkas_classes(sys.argv[1])'
  PYTHONPATH=$project "$project/.venv/bin/python" -P -c "import sys; $archive" "$folder/kafka.part" >>"$folder/log" 2>&1 &&
    overtone_keep_archive "$folder" kafka
}

# Of half an archive Java dies; one that is missing or empty it passes over.
overtone_keep_archive() {
  [ -s "$1/$2.part" ] &&
    java -XX:SharedArchiveFile="$1/$2.part" -XX:ErrorFile=/dev/null -XX:-CreateCoredumpOnCrash -version >/dev/null 2>&1 &&
    mv -f "$1/$2.part" "$1/$2.jsa"
}
