#!/bin/sh
# The benchmarks and the study on a machine that has a GPU, torch, torchaudio, triton,
# SciPy, scikit-learn and statsmodels, but no network. With SMOKE=--smoke, tiny models
# run on a CPU.
#
#   benchmarks/gpu.sh pack FOLDER       Here: packs the missing files: wheels for
#                                       Python 3.12 or PYTHON_VERSION, 15 MB; from
#                                       $FFTP_TEST_DATA, golden tensors for tests and
#                                       the data of the study, 100 MB.
#   benchmarks/gpu.sh run FOLDER OUT    There, in a copy of this repository: gpu.py and
#                                       recipe_speed.py, in 540 seconds or SECONDS_LEFT.
#   benchmarks/gpu.sh study FOLDER OUT PLAN [OPTION ...]
#                                       There: runs of a plan of the study, with options
#                                       of studies/run.py, on mixed clips (base,
#                                       base_aum) or the data in DATA. OUT gets the
#                                       stored results. After 540 seconds or
#                                       SECONDS_LEFT, a run that has not ended is lost.
#                                       Small models leave most of a GPU idle: with
#                                       JOBS=12, so many runs share it.
#
# Authors
#  * The speechbrain_fftp authors 2026
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

# Installs only what the machine lacks
install_wheels() {
    site=$(mktemp -d)
    python3 - "$1"/*.whl <<'EOF' |
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
    FFTP_COMMIT=$(cat "$1/commit.txt")
    export PYTHONPATH="$root:$site" FFTP_TEST_DATA="$1" FFTP_COMMIT
}

case ${1:-} in
pack)
    folder=$2
    mkdir -p "$folder/fixtures"
    for name in speechbrain HyperPyYAML ruamel.yaml soundfile soxr sentencepiece tqdm \
        huggingface_hub pytest; do
        grep -i "^$name==" "$root/constraints.txt" || echo "$name"
    done > "$folder/wheels.txt"
    # What these import, but for what torch and scikit-learn bring
    printf '%s\n' cffi pycparser packaging PyYAML iniconfig pluggy pygments \
        click \
        httpx2 httpcore2 h11 anyio truststore hf-xet requests charset_normalizer idna \
        urllib3 certifi >> "$folder/wheels.txt"
    git -C "$root" describe --always --abbrev=8 --exclude='*' --dirty=+ \
        > "$folder/commit.txt"
    python3 -m pip download -q --no-deps --only-binary=:all: \
        --python-version "${PYTHON_VERSION:-3.12}" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
        --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        -d "$folder" -r "$folder/wheels.txt"
    if [ -n "${FFTP_TEST_DATA:-}" ]; then
        cp -r "$FFTP_TEST_DATA/fixtures/selective_scan" "$folder/fixtures"
        mkdir "$folder/data"
        cp -r "$FFTP_TEST_DATA/data/speech_commands" \
            "$FFTP_TEST_DATA/data/audioset_mini" "$folder/data"
    fi
    du -sh "$folder"
    ;;
run)
    end=$(($(date +%s) + ${SECONDS_LEFT:-540}))
    install_wheels "$2"
    # Five minutes are for the recipe
    python3 "$root/benchmarks/gpu.py" --out "$3" ${SMOKE:-} \
        --seconds $((end - $(date +%s) - 300)) || echo "gpu.py failed" >&2
    python3 "$root/benchmarks/recipe_speed.py" --out "$3" ${SMOKE:-} \
        --seconds $((end - $(date +%s)))
    ;;
study)
    end=$(($(date +%s) + ${SECONDS_LEFT:-540}))
    folder=$2 out=$3 plan=$4
    shift 4
    install_wheels "$folder"
    mkdir -p "$out"
    # Stored runs are not run again
    cp "$root/studies/results/$plan".* \
        "$root/studies/results/${plan}_sources.npz" "$out" 2>/dev/null || true
    work=$(mktemp -d)
    jobs=${JOBS:-1} workers=8
    if [ "$jobs" -gt 1 ]; then
        workers=0
        export OMP_NUM_THREADS=1
        # The server that lets processes use a GPU at the same time
        if command -v nvidia-cuda-mps-control >/dev/null; then
            export CUDA_MPS_PIPE_DIRECTORY=$work/mps CUDA_MPS_LOG_DIRECTORY=$work/mps
            mkdir "$work/mps"
            nvidia-cuda-mps-control -d
        fi
    fi
    pids=
    for _ in $(seq "$jobs"); do
        timeout $((end - $(date +%s))) \
            python3 "$root/studies/run.py" "${DATA:-$folder/data}" --plan "$plan" \
            --device "${DEVICE:-cuda}" --num_workers $workers --results "$out" \
            --work "$work" "$@" &
        pids="$pids $!"
    done
    status=0
    for pid in $pids; do
        wait "$pid" || status=$?
    done
    if [ -n "${CUDA_MPS_PIPE_DIRECTORY:-}" ]; then
        echo quit | nvidia-cuda-mps-control
    fi
    exit $status
    ;;
*)
    sed -n '2,22s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
