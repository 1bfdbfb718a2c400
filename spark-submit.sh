#!/usr/bin/env bash
# spark-submit.sh [Spark options] JOB.py [job arguments]: runs one of our jobs on any Spark.
#
# MASTER or --master names the cluster (default local[*,4]: a task whose Python worker dies gets another try). Our packages travel as a
# zip, our Spark settings beside the cluster's own. Paths stay relative to the caller's folder. ENVIRONMENT names what
# deploy/pack-environment.sh has packed, a file or its URI, for nodes that do not have this .venv; secrets come by the
# environment alone, which YARN gets in a file (conf/yarn.py). In cluster mode on Kubernetes the driver's pod has the image of
# deploy/Dockerfile, and nothing of here travels.
set -euo pipefail
project=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=local/setup.sh
source "$project/local/setup.sh"
overtone_setup "$project"

[ $# -gt 0 ] || { echo "usage: spark-submit.sh [Spark options] JOB.py [job arguments]" >&2; exit 2; }

master=${MASTER:-local[*,4]}
# Of an option given twice Spark takes one: what the caller gives of these is joined to what is ours.
caller_files=() caller_jars=() caller_py_files=() caller_archives=() caller_driver_class_path=() caller_driver_java_options=()
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --files | --jars | --py-files | --archives | --driver-class-path | --driver-java-options)
      [ $# -gt 1 ] || overtone_fail "$1 has no value"
      option=${1#--}
      declare -n caller_values=caller_${option//-/_}
      caller_values+=("$2")
      shift 2
      ;;
    --master)
      [ $# -gt 1 ] || overtone_fail "$1 has no value"
      master=$2
      shift 2
      ;;
    --properties-file | --properties-file=*)
      overtone_fail "--properties-file: Spark takes one such file, and it is ours; give yours by --conf, or in spark-defaults.conf of SPARK_CONF_DIR"
      ;;
    --conf | -c)
      case ${2:-} in # the same by another name
        spark.master=*) set -- "--master=${2#*=}" "${@:3}" ;;
        spark.files=*) set -- "--files=${2#*=}" "${@:3}" ;;
        spark.jars=*) set -- "--jars=${2#*=}" "${@:3}" ;;
        spark.submit.pyFiles=*) set -- "--py-files=${2#*=}" "${@:3}" ;;
        spark.archives=*) set -- "--archives=${2#*=}" "${@:3}" ;;
        spark.driver.extraClassPath=*) set -- "--driver-class-path=${2#*=}" "${@:3}" ;;
        spark.driver.extraJavaOptions=*) set -- "--driver-java-options=${2#*=}" "${@:3}" ;;
        *)
          arguments+=("${@:1:2}")
          shift $(($# > 1 ? 2 : 1))
          ;;
      esac
      ;;
    --master=* | --conf=* | --files=* | --jars=* | --py-files=* | --archives=* | --driver-class-path=* | --driver-java-options=*)
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      ;;
    --supervise | --verbose | -v | --help | -h | --version | --usage-error | --load-spark-defaults | --*=*)
      arguments+=("$1")
      shift
      ;;
    -*)
      arguments+=("${@:1:2}")
      shift $(($# > 1 ? 2 : 1))
      ;;
    *) break ;;
  esac
done

cluster_mode= # whether the driver runs on the cluster
[[ ! " ${arguments[*]//=/ } " =~ \ (--deploy-mode|spark.submit.deployMode)\ cluster\  ]] || cluster_mode=yes
in_image= # where the driver's pod has this folder, in cluster mode on Kubernetes
if [[ $master == k8s://* && -n $cluster_mode ]]; then in_image=/opt/overtone; fi
code=${in_image:-$project}

job=${1:-} # one named as in the README is found from any folder
case $job in
  batch/*.py | streaming/*.py)
    if [ -n "$in_image" ]; then job=local://$code/$job; elif [ ! -e "$job" ]; then job=$project/$job; fi
    ;;
esac
[ $# = 0 ] || arguments+=("$job" "${@:2}")

# NAME SEPARATOR VALUE…: gives Spark the option with all values that are not empty, if there is one.
join_option() {
  local name=$1 separator=$2 value joined=
  shift 2
  for value in "$@"; do [ -z "$value" ] || joined+=${joined:+$separator}$value; done
  [ -z "$joined" ] || options+=("$name" "$joined")
}

jars=$project/.venv/jars/spark
s3_jars=
if overtone_uses_s3 "$project"; then
  overtone_s3_jars "$project"
  s3_jars=$project/.venv/jars/s3
fi
zip=$("$project/.venv/bin/python" -I "$project/local/code_archive.py" "$project")

properties=$project/conf/spark-defaults.conf
if [ "$master" = yarn ]; then
  # Spark reads the file by a descriptor that it inherits, so that it needs no name and is gone with the last process.
  with_environment=$(mktemp "${TMPDIR:-/tmp}/overtone-XXXXXX")
  PYTHONPATH=$project "$project/.venv/bin/python" -P -m conf.yarn "$properties" "$with_environment" ${cluster_mode:+--cluster} ||
    { rm -f "$with_environment"; exit 2; }
  exec {descriptor}<"$with_environment"
  rm -f "$with_environment"
  properties=/dev/fd/$descriptor
fi
options=(--master "$master" --properties-file "$properties" --load-spark-defaults)
our_jars='' our_py_files=$zip our_archives='' our_class_path=''
files=()
java_options=()
log_settings=file:${code// /%20}/conf/log4j2.properties
if [ -z "$cluster_mode" ] || [ -n "$in_image" ]; then
  options+=(--conf "spark.scheduler.allocation.file=file://$code/conf/fairscheduler.xml")
else
  log_settings=log4j2.properties # a driver in a container has both files on its class path
fi
case $master in
  local*)
    # One machine: the jars are read where they lie, and nothing listens beyond it.
    export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
    our_class_path="$jars/*${s3_jars:+:$s3_jars/*}"
    options+=(--driver-memory 1g)
    # On few cores Java's second compiler takes more of them than it gives back in a job of a minute: only what runs very often
    # is left to it, as the loops of a training on a large library.
    java_options+=(-XX:Tier4InvocationThreshold=500000 -XX:Tier4MinInvocationThreshold=60000)
    java_options+=(-XX:Tier4CompileThreshold=1500000 -XX:Tier4BackEdgeThreshold=4000000)
    archive=$(overtone_startup_cache_folder "$project")/spark.jsa
    if [ -n "${ARCHIVE_CLASSES_TO:-}" ]; then
      java_options+=("-XX:ArchiveClassesAtExit=\"$ARCHIVE_CLASSES_TO\"")
    elif [ -e "$archive" ] && [ -z "${SPARK_HOME:-}" ]; then
      java_options+=("-XX:SharedArchiveFile=\"$archive\"" "-Xlog:cds*=off") # one that no longer fits is ignored
    fi
    ;;
  *)
    if [ -n "$in_image" ]; then
      our_py_files=
      for part in driver executor; do
        options+=(--conf "spark.$part.extraClassPath=$code/.venv/jars/spark/*:$code/.venv/jars/s3/*")
      done
      options+=(--conf "spark.pyspark.python=$code/.venv/bin/python")
    else
      our_jars=$(printf '%s,' "$jars"/*.jar ${s3_jars:+"$s3_jars"/*.jar} | sed 's/,$//')
      # The executors need the trained ear, a driver in a container its settings too.
      files=("$project"/.venv/ear/*.onnx)
      [ -e "${files[0]}" ] || files=()
      if [ -n "$cluster_mode" ]; then
        files+=("$project/conf/fairscheduler.xml" "$project/conf/log4j2.properties")
        [ ! -f "${SPARK_CONF_DIR:-}/settings.toml" ] || files+=("$SPARK_CONF_DIR/settings.toml") # ours is in the zip
      fi
    fi
    case $job in
      *batch/train.py)
        while read -r option value; do options+=(--conf "$option=$value"); done < <(grep '^spark' "$project/conf/spark-train.conf")
        export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2} # of some 300 threads each would have memory of its own
        ;;
    esac
    if [ -n "${ENVIRONMENT:-}" ]; then
      [[ $ENVIRONMENT == *://* || -f $ENVIRONMENT ]] ||
        overtone_fail "ENVIRONMENT=$ENVIRONMENT is no file; deploy/pack-environment.sh makes one"
      case $ENVIRONMENT in *.tar.gz | *.tgz) ;; *) overtone_fail "ENVIRONMENT=$ENVIRONMENT: the name must end in .tar.gz" ;; esac
      [[ $ENVIRONMENT == *://* || -n $(tar -tzf "$ENVIRONMENT" 2>/dev/null | head -n 1) ]] ||
        overtone_fail "ENVIRONMENT=$ENVIRONMENT is no archive; make it again by deploy/pack-environment.sh"
      our_archives=$ENVIRONMENT#environment
      options+=(--conf spark.pyspark.python=./environment/bin/python)
      [ -n "$cluster_mode" ] || options+=(--conf "spark.pyspark.driver.python=$project/.venv/bin/python")
    fi
    ;;
esac
[ -n "${SPARK_CONF_DIR:-}" ] || java_options+=("-Dlog4j2.configurationFile=$log_settings")
join_option --jars , "$our_jars" ${caller_jars[@]+"${caller_jars[@]}"}
join_option --py-files , "$our_py_files" ${caller_py_files[@]+"${caller_py_files[@]}"}
join_option --files , ${files[@]+"${files[@]}"} ${caller_files[@]+"${caller_files[@]}"}
join_option --archives , "$our_archives" ${caller_archives[@]+"${caller_archives[@]}"}
join_option --driver-class-path : "$our_class_path" ${caller_driver_class_path[@]+"${caller_driver_class_path[@]}"}
join_option --driver-java-options " " ${java_options[@]+"${java_options[@]}"} ${caller_driver_java_options[@]+"${caller_driver_java_options[@]}"}

export OVERTONE_HOME=${OVERTONE_HOME:-$project/.overtone}
export PYTHONSAFEPATH=1 # the job's own folder must not hide our packages
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$project/.venv/bin/python}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
submit=$project/.venv/bin/spark-submit
[ -z "${SPARK_HOME:-}" ] || submit=$SPARK_HOME/bin/spark-submit
[ -x "$submit" ] || overtone_fail "SPARK_HOME=${SPARK_HOME:-} has no bin/spark-submit; unset it, or name a Spark"
# Spark hands the job's output on by a pipe: whether a terminal is at its end, for the progress bar, is only seen here.
if [ -t 1 ]; then PROGRESS_COLUMNS=$(tput cols 2>/dev/null || echo 80); export PROGRESS_COLUMNS; else unset PROGRESS_COLUMNS; fi
# Java does not know TMPDIR, and a driver keeps its copy of a packed environment among temporary files.
[ -z "${TMPDIR:-}" ] || export SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:-} \"-Djava.io.tmpdir=$TMPDIR\""
unset PYSPARK_DRIVER_PYTHON PYSPARK_DRIVER_PYTHON_OPTS # a job is no notebook
exec "$submit" "${options[@]}" "${arguments[@]}" # in place of this shell, so that who ends it ends the job
