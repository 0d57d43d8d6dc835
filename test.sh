#!/bin/sh
# Tests the network of a training run:
#
#   sh test.sh work_dirs/local-basic/RUN [further arguments of tools/test.py]
#
# Prints the scores (but not with --format-only and --submission, which need no labels) and writes the
# predictions, in the classes' colours, to RUN/preds.
# PYTHON=... takes that interpreter.
set -eu

die() {
    echo "error: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: sh test.sh RUN_FOLDER [arguments of tools/test.py]"
RUN=$1
shift
while [ "$RUN" != / ] && [ "$RUN" != "${RUN%/}" ]; do RUN=${RUN%/}; done
[ -d "$RUN" ] || die "the run folder '$RUN' does not exist"

# The resolved config bears the name of its folder; in a folder that was renamed it is the only
# json or Python file that is neither a log nor a result.
find_config() {
    name=$(cd -- "$RUN" && basename -- "$(pwd)")
    for file in "$RUN/$name.json" "$RUN/$name.py"; do
        if [ -f "$file" ]; then CONFIG=$file; return; fi
    done
    CONFIG=
    for file in "$RUN"/*.json "$RUN"/*.py; do
        case ${file##*/} in *.log.json | eval_*.json | env*.json) continue ;; esac
        [ -f "$file" ] || continue
        [ -z "$CONFIG" ] || die "'$RUN' holds several configs ('${CONFIG##*/}', '${file##*/}'):" \
            "call tools/test.py with the right one"
        CONFIG=$file
    done
    [ -n "$CONFIG" ] || die "'$RUN' holds no config (*.json or *.py): is it the folder of a run?"
}

find_checkpoint() {
    for file in "$RUN"/latest.pth "$RUN"/best_*.pth; do
        if [ -f "$file" ]; then CHECKPOINT=$file; return; fi
    done
    die "'$RUN' holds no checkpoint (latest.pth or best_*.pth): has the run saved one yet?"
}

SCORES=yes
for argument in "$@"; do
    case $argument in --format-only | --submission | --submission=*) SCORES= ;; esac
done
set -- --show-dir "$RUN/preds" --opacity 1 "$@"
[ -z "$SCORES" ] || set -- --eval mIoU "$@"
find_config
find_checkpoint
ROOT=$(cd -- "$(dirname -- "$0")" && pwd)
echo "config:      $CONFIG"
echo "checkpoint:  $CHECKPOINT"
echo "predictions: $RUN/preds"
PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH} exec "${PYTHON:-python}" "$ROOT/tools/test.py" \
    "$CONFIG" "$CHECKPOINT" "$@"
