#!/usr/bin/env bash
# Sets up an environment in the checkout; make calls it, and a stamp of make says that it went through.
#
#   packaging/env.sh main      .venv: the maintained stack (torch 2.10, onedl-mmcv 2.3)
#   packaging/env.sh classic   .venv-classic: the stack of the published model (torch 2.1, mmcv 2.1)
#
# PYTHON names the interpreter to build on; MAX_JOBS the number of compilers at work (default: all cores).
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-main}
case $kind in
    main) venv=.venv oldest=10 newest=12 constraints=constraints.txt ;;
    # Its pins are those of one Python: torch 2.1 has no wheels for a later one.
    classic) venv=.venv-classic oldest=11 newest=11 constraints=constraints-classic.txt ;;
    *)
        echo "$0: $kind is neither main nor classic" >&2
        exit 2
        ;;
esac

say() { echo "== $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
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
    for candidate in python3 python3.12 python3.11 python3.10 python; do
        if supports "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.$oldest to 3.$newest found; python3 is $(python3 --version 2>&1 || echo missing)." \
        "Install one and name it: make PYTHON=python3.11"
}

check_tools() { # PYTHON: what compiling mmcv needs
    "$1" -c 'import ensurepip, venv' 2>/dev/null || fail "$1 lacks venv; on Debian and Ubuntu: apt install python3-venv"
    "$1" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        fail "$1 lacks its headers (Python.h); on Debian and Ubuntu: apt install python3-dev"
    command -v "${CXX:-c++}" >/dev/null || command -v g++ >/dev/null ||
        fail "no C++ compiler found (${CXX:-c++}), and mmcv must be compiled; on Debian and Ubuntu: apt install g++"
}

uv_install() { "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --constraint "$constraints" "$@"; }

python=$(find_python)
check_tools "$python"
export MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}

if ! supports "$venv/bin/python"; then
    say "creating $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" uv

if [[ $kind == main ]]; then
    say "installing the pinned packages; the first time this downloads some gigabytes and compiles onedl-mmcv:" \
        "five to ten minutes on two cores (here: $MAX_JOBS)"
    uv_install pip setuptools wheel
    uv_install --no-build-isolation-package ultrasam --reinstall-package ultrasam --editable '.[mim,dicom,volume,corpus,evaluation,tensorboard,export,test,dev]'
    # OpenMIM looks for a distribution of this name; it is built from what was just installed.
    uv_install --no-cache --no-build-isolation --no-deps --reinstall-package mmdet ./packaging/transitional/mmdet
    # Both builds of OpenCV are required by others and share their files: the last one wins, and needs no libGL.
    uv_install --no-deps --reinstall-package opencv-python-headless opencv-python-headless
else
    say "installing the classic stack; the first time this compiles mmcv 2.1: ten to fifteen minutes (compilers at work: $MAX_JOBS)"
    uv_install torch torchvision numpy setuptools wheel ninja
    FORCE_CUDA=${FORCE_CUDA:-0} uv_install --no-build-isolation \
        mmcv mmengine mmdet mmpretrain openmim opencv-python-headless pytest segment-anything \
        faster-coco-eval onnx onnxruntime onnxscript safetensors scikit-image
    uv_install --no-build-isolation --no-deps --reinstall-package ultrasam --editable .
    uv_install --no-deps --reinstall-package opencv-python-headless opencv-python-headless
fi

say "checking"
"$venv/bin/python" -c 'import mmcv.ops, mmdet, mmpretrain, ultrasam'
if [[ $kind == main ]]; then
    # Not in the classic stack: its packages state bounds on each other that its releases never met.
    "$venv/bin/uv" pip check --quiet --python "$venv/bin/python"
fi
say "$venv is ready"
