#!/bin/sh
# gpu.py and recipe_speed.py on a machine that has torch, torchaudio, triton and
# NumPy, but no network.
#
#   benchmarks/gpu.sh pack FOLDER     Here: packs the missing files, 40 MB: wheels
#                                     for Python 3.12 or PYTHON_VERSION, and golden
#                                     tensors from $FFTP_TEST_DATA, for tests.
#   benchmarks/gpu.sh run FOLDER OUT  There, in a copy of this repository: takes
#                                     540 seconds, or SECONDS_LEFT.
#
# Authors
#  * The speechbrain_fftp authors 2026
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$2
case $1 in
pack)
    mkdir -p "$folder/fixtures"
    for name in speechbrain HyperPyYAML ruamel.yaml soundfile soxr scipy tqdm; do
        grep -i "^$name==" "$root/constraints.txt"
    done > "$folder/wheels.txt"
    printf '%s\n' cffi pycparser packaging PyYAML >> "$folder/wheels.txt"
    python3 -m pip download -q --no-deps --only-binary=:all: \
        --python-version "${PYTHON_VERSION:-3.12}" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        -d "$folder" -r "$folder/wheels.txt"
    if [ -n "${FFTP_TEST_DATA:-}" ]; then
        cp -r "$FFTP_TEST_DATA/fixtures/selective_scan" "$folder/fixtures"
    fi
    du -sh "$folder"
    ;;
run)
    end=$(($(date +%s) + ${SECONDS_LEFT:-540}))
    site=$(mktemp -d)
    # Only what the machine lacks
    python3 - "$folder"/*.whl <<'EOF' |
import importlib.metadata
import pathlib
import sys

for wheel in map(pathlib.Path, sys.argv[1:]):
    try:
        importlib.metadata.version(wheel.name.split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        print(wheel)
EOF
        xargs -r -d '\n' python3 -m pip install -q --no-index --no-deps \
            --no-cache-dir --target "$site"
    export PYTHONPATH="$root:$site" FFTP_TEST_DATA="$folder"
    # Five minutes are for the recipe
    python3 "$root/benchmarks/gpu.py" --out "$3" \
        --seconds $((end - $(date +%s) - 300)) || echo "gpu.py failed" >&2
    python3 "$root/benchmarks/recipe_speed.py" --out "$3" \
        --seconds $((end - $(date +%s)))
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
