#!/bin/sh
# Fetches the pretrained encoders that the configs name into pretrained/, checks them, and goes on
# where an earlier call was cut off. Nothing that is there already is replaced.
#
#   sh tools/download_checkpoints.sh [--list | all | NAME...]      (default: mit_b5)
#
# TO=DIR             another folder than pretrained/
# HF_ENDPOINT=URL    a mirror of https://huggingface.co
# OPENMMLAB_URL=URL  a mirror of https://download.openmmlab.com
# PYTHON=COMMAND     the Python that this project is installed in (default: .venv's, else python3)
set -u

cd -- "$(dirname -- "$0")/.." || exit 1
TO=${TO:-pretrained}
HF_ENDPOINT=${HF_ENDPOINT:-https://huggingface.co}
OPENMMLAB_URL=${OPENMMLAB_URL:-https://download.openmmlab.com}
if [ -z "${PYTHON:-}" ]; then
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; else PYTHON=python3; fi
fi

# name | file here | address. The eight digits at the end of OpenMMLab's names begin the file's sha256.
table() {
    for n in 0 1 2 3 4 5; do
        echo "mit_b$n|mit_b$n.pth|$HF_ENDPOINT/nvidia/mit-b$n/resolve/main/pytorch_model.bin"
    done
    for file in resnet50_v1c-2cccc1ad resnet101_v1c-e67eebb6 resnext50-32x4d-0ab1a123 \
            resnext101_32x4d-a5af3160 resnest50_d2-7497a55b resnest101_d2-f3b931b2 resnest200_d2-ca88e41f; do
        echo "${file%-*}|$file.pth|$OPENMMLAB_URL/pretrain/third_party/$file.pth"
    done
}

say() { printf '%s\n' "$*"; }

# fetch ADDRESS PART: 0 done, 1 cut off or out of reach (PART stays, to go on from), 2 the server refused
fetch() {
    if command -v curl >/dev/null 2>&1; then
        curl --fail --location --silent --show-error --connect-timeout 20 --retry 2 \
            --continue-at - --output "$2" "$1"
        case $? in 0) return 0 ;; 22 | 33 | 36) return 2 ;; *) return 1 ;; esac
    elif command -v wget >/dev/null 2>&1; then
        wget --no-verbose --timeout=20 --tries=3 --continue --output-document="$2" "$1"
        case $? in 0) return 0 ;; 8) return 2 ;; *) return 1 ;; esac
    fi
    say "neither curl nor wget is installed" >&2
    return 1
}

sha256() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

# whole PART FILE: the hash in FILE's name if it has one; else that PART can be read as a checkpoint
whole() {
    digits=$(say "$2" | sed -n 's/.*-\([0-9a-f]\{8\}\)\.pth$/\1/p')
    if [ -n "$digits" ]; then
        case $(sha256 "$1") in "$digits"*) return 0 ;; esac
        say "  its sha256 does not begin with $digits" >&2
        return 1
    fi
    if "$PYTHON" -c 'import mmseg' >/dev/null 2>&1; then
        "$PYTHON" -c '
import sys
from mmseg.utils import UserError
from mmseg.checkpoint.weights import load_file, state_dict_of
try:
    sys.exit(0 if state_dict_of(load_file(sys.argv[1])) else "  it holds no weights")
except UserError as error:
    sys.exit(f"  {error}")' "$1"
        return
    fi
    # without this project installed: the marks that files of PyTorch begin with, zip or pickle
    case $(od -An -tx1 -N2 "$1" | tr -d ' ') in 504b | 8002) return 0 ;; esac
    say "  it is no file of PyTorch's" >&2
    return 1
}

by_hand() {
    say "$1: $4." >&2
    say "  By hand: download $3" >&2
    say "  and save it as $TO/$2; or call this again, which goes on from what is there." >&2
}

get() { # NAME FILE ADDRESS
    target=$TO/$2 part=$TO/$2.part
    if [ -e "$target" ]; then say "$target is there"; return 0; fi
    mkdir -p "$TO" || return 1
    say "$3 -> $target"
    began_before=; [ -s "$part" ] && began_before=yes
    fetch "$3" "$part"; outcome=$?
    if [ "$outcome" -eq 2 ] && [ -n "$began_before" ]; then
        # a server that cannot continue, or has nothing to add
        rm -f "$part"; fetch "$3" "$part"; outcome=$?
    fi
    case $outcome in
        1) by_hand "$1" "$2" "$3" "the download was cut off, or its host cannot be reached"; return 1 ;;
        2) rm -f "$part"; by_hand "$1" "$2" "$3" "its host refuses this address"; return 1 ;;
    esac
    if ! whole "$part" "$2"; then
        rm -f "$part"; by_hand "$1" "$2" "$3" "what came is not the file"; return 1
    fi
    mv "$part" "$target"
}

main() {
    [ $# -gt 0 ] || set -- mit_b5
    if [ "$1" = --list ]; then
        table | while IFS='|' read -r name file address; do say "$name: $address -> $TO/$file"; done
        say "DAFormer's trained networks lie on Google Drive, which wants a browser: see Checkpoints in"
        say "https://github.com/lhoyer/DAFormer; unpack them anywhere and give their folder to test.sh."
        return 0
    fi
    [ "$1" = all ] && set -- $(table | cut -d '|' -f 1)
    failed=0
    for wanted in "$@"; do
        row=$(table | grep "^$wanted|")
        if [ -z "$row" ]; then
            say "error: no checkpoint '$wanted': --list shows all" >&2; failed=1; continue
        fi
        rest=${row#*|}
        get "$wanted" "${rest%%|*}" "${rest#*|}" || failed=1
    done
    return $failed
}

main "$@"
