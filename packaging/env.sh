#!/usr/bin/env bash
# Sets up .venv in the checkout; make calls it, and a stamp of make says that it went through.
#
#   packaging/env.sh env    everything: the package, PyTorch, OpenMMLab, tools for tests; no compiler is needed
#   packaging/env.sh ops    compile mmcv's operators into that environment
#
# PYTHON names the interpreter to build on; MAX_JOBS the number of compilers at work for ops (default: all cores).
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
oldest=10 newest=13

say() { echo "== $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
}

step() { # TITLE COMMAND...: run a command, say what it does and how long it took
    local title=$1 begun=$SECONDS
    shift
    say "$title"
    "$@"
    say "   done in $((SECONDS - begun)) s"
}

supports() { # PYTHON: is its version in the range?
    "$1" -c "import sys; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" >/dev/null 2>&1
}

find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON: no such program"
        supports "$PYTHON" || fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || true); this needs 3.$oldest to 3.$newest"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if supports "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.$oldest to 3.$newest found; python3 is $(python3 --version 2>&1 || echo missing)." \
        "Install one and name it: make PYTHON=python3.12"
}

is_whole() { # does the environment run, on the Python asked for, with pip?
    supports "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    local version='import sys; print(sys.version_info[:2])'
    [[ -z ${PYTHON:-} || $("$venv/bin/python" -c "$version") == $("$PYTHON" -c "$version") ]]
}

create() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python lacks venv; on Debian and Ubuntu: apt install python3-venv"
    "$python" -m venv --clear "$venv"
}

get_uv() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv ||
        fail 'the package uv could not be had (see above): check the network, then run the same command again'
}

uv_install() {
    "$venv/bin/uv" pip install --python "$venv/bin/python" --constraint constraints.txt "$@" ||
        fail 'a package could not be had or built (uv names it above): check the network and the space on the disk,' \
            'then run the same command again; what is there already is kept'
}

install_packages() {
    uv_install --quiet pip setuptools wheel
    uv_install --no-build-isolation-package ultrasam --reinstall-package ultrasam --reinstall-package ultrasam-mmcv-ops \
        --editable '.[train,corpus,test,dev]'
    # OpenMIM looks for a distribution of this name; it is built from what was just installed.
    uv_install --quiet --no-cache --no-build-isolation --no-deps --reinstall-package mmdet ./packaging/transitional/mmdet
    # Both builds of OpenCV are required by others and share their files: the last one wins, and needs no libGL.
    uv_install --quiet --no-deps --reinstall-package opencv-python-headless opencv-python-headless
}

check() {
    "$venv/bin/python" -c 'import mmcv.ops, mmdet, mmpretrain, ultrasam.predict'
    "$venv/bin/uv" pip check --quiet --python "$venv/bin/python"
}

compile_ops() {
    "$venv/bin/uv" pip install --python "$venv/bin/python" --constraint constraints.txt ninja 'setuptools>=77,<82' wheel ||
        fail 'ninja and setuptools could not be had (see above): check the network'
    # Without build isolation the build finds torch, and compiles. pip shows each compiler call, so that one sees it move.
    MMCV_WITH_OPS=1 "$venv/bin/python" -m pip install --verbose --no-cache-dir --no-deps --no-build-isolation \
        --force-reinstall --no-binary onedl-mmcv --constraint constraints.txt onedl-mmcv ||
        fail 'mmcv did not compile (see above); the environment still works without its operators'
    "$venv/bin/python" -c 'import mmcv._ext, sys; sys.exit(mmcv._ext.__file__.endswith(".py"))' ||
        fail 'mmcv was built without operators: its build did not find torch'
}

export UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
total_begun=$SECONDS

case ${1:-} in
    env)
        python=$(find_python)
        if ! is_whole; then
            step "creating $venv with $("$python" --version)" create
        fi
        step 'installing uv, which installs the rest' get_uv
        step 'installing the pinned packages: 3.5 GB to download the first time, none when they are cached' install_packages
        step 'checking that everything imports' check
        say "$venv is ready after $((SECONDS - total_begun)) s"
        ;;
    ops)
        [[ -x $venv/bin/uv ]] || fail "$venv is not set up: run make env first"
        command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
            fail "no C++ compiler found (${CXX:-c++}); on Debian and Ubuntu: apt install g++"
        export MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
        step "compiling mmcv's operators with $MAX_JOBS compilers at once: about 40 minutes of processor time" compile_ops
        ;;
    *)
        echo "usage: $0 env | ops" >&2
        exit 2
        ;;
esac
