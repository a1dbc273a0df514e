#!/bin/sh
# gpu.py on a machine that has torch and triton, but no network.
#
#   benchmarks/gpu.sh pack FOLDER     Here: packs the missing files, a few MB: wheels
#                                     for Python 3.12 or PYTHON_VERSION, and golden
#                                     tensors from $FFTP_TEST_DATA, for tests.
#   benchmarks/gpu.sh run FOLDER OUT  There, in a copy of this repository.
#
# Authors
#  * The speechbrain_fftp authors 2026
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$2
case $1 in
pack)
    mkdir -p "$folder/fixtures"
    for name in speechbrain HyperPyYAML ruamel.yaml soundfile soxr; do
        grep -i "^$name==" "$root/constraints.txt"
    done > "$folder/wheels.txt"
    printf 'cffi\npycparser\n' >> "$folder/wheels.txt"
    python3 -m pip download -q --no-deps --only-binary=:all: \
        --python-version "${PYTHON_VERSION:-3.12}" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 -d "$folder" -r "$folder/wheels.txt"
    if [ -n "${FFTP_TEST_DATA:-}" ]; then
        cp -r "$FFTP_TEST_DATA/fixtures/selective_scan" "$folder/fixtures"
    fi
    du -sh "$folder"
    ;;
run)
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-cache-dir \
        --target "$site" "$folder"/*.whl
    export PYTHONPATH="$root:$site" FFTP_TEST_DATA="$folder"
    python3 "$root/benchmarks/gpu.py" --seconds "${SECONDS_LEFT:-540}" --out "$3"
    ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
