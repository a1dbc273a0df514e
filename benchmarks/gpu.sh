#!/bin/sh
# One job of ten minutes on a machine that has a GPU, torch, torchaudio, triton, SciPy
# and scikit-learn, but no network. With SMOKE=--smoke, tiny models run on
# a CPU.
#
#   benchmarks/gpu.sh pack FOLDER       Here: packs the missing files: wheels for
#                                       Python 3.12 or PYTHON_VERSION, and, from
#                                       $FFTP_TEST_DATA, golden tensors for tests; less
#                                       than 64 MiB.
#   benchmarks/gpu.sh run FOLDER OUT    There, in a copy of this repository, in 540
#                                       seconds or SECONDS_LEFT. In eager mode: 50 steps
#                                       of each configuration of the paper's tables, and
#                                       the hours that these take by it; the tests of
#                                       kernels and encoders; other recipes. Then
#                                       compiled, in COMPILE_SECONDS, 150, each: a step
#                                       of AST-base and of AuM-base, and the recipes.
#                                       FOLDER may be empty where nothing is missing.
#   benchmarks/gpu.sh study FOLDER OUT PLAN [OPTION ...]
#                                       There: runs of a plan of the study, with options
#                                       of studies/run.py, on the data in DATA. After
#                                       540 seconds or SECONDS_LEFT, a run that has not
#                                       ended is lost. Small models leave most of a GPU
#                                       idle: with JOBS=12, so many runs share it.
#
# OUT gets each result when it is there, failures too, and what was printed.
#
# Authors
#  * The speechbrain_fftp authors 2026
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
device=cuda
[ -z "${SMOKE:-}" ] || device=cpu
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
end=$(($(date +%s) + ${SECONDS_LEFT:-540}))

seconds_left() {
    echo $((end - $(date +%s)))
}

# Installs only what the machine lacks
install_wheels() {
    set -- "$1" "$1"/*.whl
    [ -e "$2" ] || return 0
    site=$(mktemp -d)
    "$python" - "$@" <<'EOF' |
import importlib.metadata
import pathlib
import sys

for wheel in map(pathlib.Path, sys.argv[2:]):
    try:
        importlib.metadata.version(wheel.name.split("-")[0])
    except importlib.metadata.PackageNotFoundError:
        print(wheel)
EOF
        xargs -r -d '\n' "$python" -m pip install -q --no-index --no-deps \
            --no-cache-dir --target "$site"
    FFTP_COMMIT=$(cat "$1/commit.txt")
    export PYTHONPATH="$PYTHONPATH:$site" FFTP_TEST_DATA="$1" FFTP_COMMIT
}

# Runs of a plan of the study
study() {
    out=$1 plan=$2
    shift 2
    # Stored runs are not run again
    cp "$root/studies/results/$plan".* "$out" 2>/dev/null || true
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
        timeout "$(seconds_left)" \
            "$python" "$root/studies/run.py" "$DATA" --plan "$plan" \
            --device "$device" --num_workers $workers --results "$out" \
            --work "$work" ${SMOKE:-} "$@" &
        pids="$pids $!"
    done
    status=0
    for pid in $pids; do
        wait "$pid" || status=$?
    done
    if [ -n "${CUDA_MPS_PIPE_DIRECTORY:-}" ]; then
        echo quit | nvidia-cuda-mps-control
    fi
    return $status
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
    "$python" -m pip download -q --no-deps --only-binary=:all: \
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
    install_wheels "$2"
    out=$3
    mkdir -p "$out"
    # Columns of other machines are kept
    cp -n "$root"/benchmarks/results/*.json "$out"
    limit=${COMPILE_SECONDS:-150}
    "$python" "$root/benchmarks/paper_speed.py" --out "$out" ${SMOKE:-} \
        --seconds "$(($(seconds_left) / 2))" > "$out/paper_speed.txt" 2>&1 ||
        echo "paper_speed.py failed" >&2
    set -- tests/speechbrain tests/unit/nnet tests/unit/lobes \
        tests/integration/test_precision.py -m gpu
    [ -z "${SMOKE:-}" ] || set -- tests/speechbrain/test_specmask.py
    (cd "$root" && timeout 180 "$python" -m pytest -q -rfE -p no:cacheprovider \
        --continue-on-collection-errors "$@") > "$out/tests.txt" 2>&1 ||
        echo "tests failed" >&2
    "$python" "$root/benchmarks/recipe_speed.py" --out "$out" ${SMOKE:-} \
        --seconds "$(($(seconds_left) / 2))" > "$out/recipes.txt" 2>&1 ||
        echo "recipe_speed.py failed" >&2
    # What may not end, at the end
    for encoder in AST AuM; do
        timeout "$limit" "$python" "$root/benchmarks/first_step.py" --out "$out" \
            --encoder $encoder ${SMOKE:-} > "$out/first_step_$encoder.txt" 2>&1 ||
            echo "first_step.py --encoder $encoder failed" >&2
    done
    timeout "$limit" "$python" "$root/benchmarks/recipe_speed.py" --compiled 1 \
        --out "$out" ${SMOKE:-} --seconds "$limit" > "$out/compiled.txt" 2>&1 ||
        echo "recipe_speed.py --compiled 1 failed" >&2
    tail -n 30 "$out"/*.txt
    ;;
study)
    install_wheels "$2"
    mkdir -p "$3"
    shift 2
    study "$@"
    ;;
*)
    sed -n '2,36s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
