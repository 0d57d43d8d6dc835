#!/bin/sh
# Makes the environment of the project: a virtual environment with everything installed.
#
#   sh .ci/setup.sh            PYTHON=… takes that interpreter, VENV=… another place than .venv
#
# Run again it does nothing; after an interruption, or a change of the requirements, it goes on
# from what is there.
set -eu

die() {
    echo "error: $*" >&2
    exit 1
}

CDPATH='' cd -- "$(dirname -- "$0")/.." || die "cannot enter the project's folder"
VENV=${VENV:-.venv}
STAMP=$VENV/.set-up
SUPPORTED='3.10, 3.11, 3.12, 3.13 or 3.14'
FETCHED=3.12

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 15))' 2>/dev/null
}

version_of() {
    "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null || echo 'no Python'
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" || die "PYTHON=$PYTHON is $(version_of "$PYTHON"), needed is Python $SUPPORTED"
        return
    fi
    for PYTHON in python3.11 python3.12 python3.13 python3.10 python3.14 python3 python; do
        if is_supported "$PYTHON"; then return; fi
    done
    command -v uv >/dev/null || die "needed is Python $SUPPORTED, found is $(version_of python3): install" \
        "one of them, or uv, which then fetches one, or name it by PYTHON=/path/to/python3.11"
    echo "found is $(version_of python3): uv fetches Python $FETCHED"
    { uv python install "$FETCHED" && PYTHON=$(uv python find --managed-python "$FETCHED") && is_supported "$PYTHON"; } \
        || die "uv could not fetch Python $FETCHED (its message is above): install Python $SUPPORTED," \
               "or name it by PYTHON=/path/to/python3.11"
}

make_venv() {
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ]; then
        die "$VENV is there and is no virtual environment: move it away, or set VENV=another-folder"
    fi
    if [ -x "$VENV/bin/python" ] && is_supported "$VENV/bin/python" \
        && "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    find_python
    echo "creating $VENV with $("$PYTHON" --version) ($PYTHON)"
    "$PYTHON" -m venv --clear "$VENV" || die "$PYTHON could not create $VENV" \
        "(on Debian and Ubuntu the package python3-venv is needed)"
}

# A package whose installation was cut short has its metadata already, and would be taken for installed; the file
# INSTALLER is one of the last that pip and uv write.
forget_half_installed() {
    for info in "$VENV"/lib/python3.*/site-packages/*.dist-info; do
        if [ -d "$info" ] && [ ! -f "$info/INSTALLER" ]; then rm -rf "$info"; fi
    done
}

install_packages() {
    forget_half_installed
    echo 'building mmcv-full from its source archive, mended for the Pythons of today (.ci/mmcv_wheel.py says how)'
    wheel=$("$VENV/bin/python" .ci/mmcv_wheel.py "$VENV/wheels") || die "the wheel of mmcv-full is needed"
    echo 'installing the packages: PyTorch with its libraries is several GB, this takes minutes'
    "$VENV/bin/python" .ci/install.py "$VENV/bin/python" "$wheel" --editable '.[test]' \
        || die "the packages could not be installed (pip's message is above); the same command goes on"
    "$VENV/bin/python" -W ignore -c 'import mmseg, mmcv, torch, torchvision' \
        || die "the installed packages cannot be imported (the message is above);" \
               "'make clean-venv' and the same command start afresh"
}

fingerprint() {
    # the editable install holds the folder's path
    { pwd; cat requirements.txt pyproject.toml setup.py .ci/setup.sh .ci/install.py .ci/mmcv_wheel.py; } | cksum
}

if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] && [ -x "$VENV/bin/python" ]; then
    exit 0
fi
make_venv
install_packages
fingerprint >"$STAMP.new"
mv "$STAMP.new" "$STAMP"
echo "set up: $("$VENV/bin/python" --version), PyTorch" \
    "$("$VENV/bin/python" -c 'from importlib.metadata import version; print(version("torch"))')"
