#!/usr/bin/env bash
# The stress tests and the oracles, round after round with new seeds and settings, for so many minutes:
#
#     tests/soak.sh MINUTES [FIRST]
#
# The number of a round decides on its seeds and settings; FIRST is that of the first one, by default the time. No round begins after
# the minutes, which do not include building; the one that is running is finished. Two tests run at a time. Ends with the first failure, and says
# with which settings it came and what the test said. Leaves out of the oracles what has no seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    echo "usage: tests/soak.sh MINUTES [FIRST]" >&2
    exit 2
}

[[ $# -ge 1 && $# -le 2 && "$1" =~ ^[0-9]{1,6}$ ]] || usage
[[ $# -eq 1 || "$2" =~ ^[0-9]{1,15}$ ]] || usage
limit=$((10#$1 * 60))
first=$((10#${2:-$(date +%s)}))

# What a round runs: the oracles with these four seeds above the round's number times four, so that a collecting thread, a load of the
# collector's and its second marker come in every combination.
oracles=(oracle oracle_threads)
seeds=(0 1 2 3)
stress=(deferred threads thread_locals weak ephemerons finalize collections pins catching_up newborns)

# A test binary that takes longer has not ended.
longest=2400

outputs="$(mktemp -d)"
trap 'rm -rf "$outputs"' EXIT
trap 'trap - INT TERM; kill $(jobs -p) 2>/dev/null || true; wait; exit 130' INT TERM

declare -A binary
build() {
    local name path
    export CARGO_TERM_COLOR=never
    cargo test -p graphgc-tests --no-run "${oracles[@]/#/--test=}" --test=adversary "${stress[@]/#/--test=}" 2>"$outputs/build" || {
        cat "$outputs/build" >&2
        exit 1
    }
    for name in "${oracles[@]}" adversary "${stress[@]}"; do
        path="$(sed -n "s/^ *Executable tests\/$name[./].*(\(.*\))\$/\1/p" "$outputs/build")"
        binary[$name]="$(realpath "$path")"
    done
}

# The $2th setting of round $1: one of the others.
draw() {
    local round="$1" which="$2" mixed
    shift 2
    mixed=$(((round * 2654435761 + which * 40503) & 0xffffffff))
    mixed=$((((mixed ^ (mixed >> 15)) * 2246822519) & 0xffffffff))
    mixed=$(((mixed ^ (mixed >> 13)) % $# + 1))
    echo "${!mixed}"
}

# Runs test binary $1 with seed $2 and in it the tests that have $3 in their names, or all, with a setting in its place.
run() {
    local output="$outputs/$1-$2" status=0 child setting=() tests=("${@:3}")
    if [[ "${3:-}" == *=* ]]; then
        setting=("$3") tests=()
    fi
    timeout --kill-after=10 "$longest" \
        env "${settings[@]}" "${setting[@]}" GRAPHGC_SEED="$2" "${binary[$1]}" --test-threads=1 "${tests[@]}" >"$output" 2>&1 &
    child=$!
    trap 'kill "$child" 2>/dev/null' TERM
    wait "$child" || status=$?
    if [[ $status -eq 0 ]]; then
        sed -n 's/^test result: ok\. \([1-9][0-9]*\) passed.*/\1/p' "$output" >>"$outputs/passed"
    else
        {
            echo "$1 failed with status $status; to see it again run round $round, or"
            echo "    ${settings[*]} ${setting[*]} GRAPHGC_SEED=$2 ${binary[$1]} --test-threads=1 ${tests[*]}"
            cat "$output"
        } >"$outputs/failure-$1-$2"
    fi
    rm "$output"
}

failures() {
    find "$outputs" -name 'failure-*' | wc -l
}

# Runs the others when fewer than two run, unless something has failed.
start() {
    while [[ $(jobs -rp | wc -l) -ge 2 ]]; do
        wait -n || true
    done
    if [[ $(failures) -eq 0 ]]; then
        run "$@" &
    fi
}

build
: >"$outputs/passed"
began=$SECONDS
rounds=0
round=$first
while [[ $((SECONDS - began)) -lt $limit && $(failures) -eq 0 ]]; do
    round_began=$SECONDS
    settings=(
        "GRAPHGC_MIN_HEAP=$(draw "$round" 1 64K 256K 1M 4M 32M)"
        "GRAPHGC_GROWTH=$(draw "$round" 2 10 25 50 100 400)"
        "GRAPHGC_WORKERS=$(draw "$round" 3 1 2 4)"
        "GRAPHGC_CHECKMARK=$(draw "$round" 4 0 1)"
    )
    for seed in "${seeds[@]}"; do
        for name in "${oracles[@]}"; do
            start "$name" $((round * 4 + seed)) random_programs
        done
    done
    # Without memory there is no second marking to compare with; attacks that profit from the checkmark mode turn it on themselves.
    start adversary $((round * 4)) GRAPHGC_CHECKMARK=0
    for name in "${stress[@]}"; do
        start "$name" $((round * 4))
    done
    wait
    echo "round $round: ${settings[*]}: $((SECONDS - round_began)) s"
    rounds=$((rounds + 1))
    round=$((round + 1))
done

find "$outputs" -name 'failure-*' -exec cat {} +
programs=$((rounds * ${#seeds[@]} * ${#oracles[@]}))
tests=$(awk '{ sum += $1 } END { print sum + 0 }' "$outputs/passed")
time=$((SECONDS - began))
echo "soak: $rounds rounds from $first on, $programs seeds of random programs, $tests tests passed, $((time / 60)) min $((time % 60)) s, $(failures) failures"
[[ $(failures) -eq 0 ]]
