#!/usr/bin/env bash
# Measures this machine: sets up what is missing, runs the benchmarks one after the other, and writes
# benchmarks/results/MACHINE.json and the pictures beside it.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

usage() {
    cat <<'END'
Usage: benchmarks/run_all.sh [--quick] [--no-setup] [--peers] [--out FOLDER] [NAME...]

About 12 minutes on a machine with a GPU, 36 on two cores. Nothing else should be at work meanwhile.

  --quick     only see that everything works, in 5 minutes: the figures mean little
  --no-setup  measure with the Python that is on the PATH, instead of scripts/setup's
  --peers     also the comparison with Pipecat and speech-to-speech; installs them, 15 minutes more
  --out       where results go (benchmarks/results)
  NAME        only these: stt llm tts turn barge_in concurrency peers

What is measured again takes the place of what was there; the rest is kept. A benchmark that fails does not keep
the others from running; the exit code is 1 then. Compare two machines or two days with
`python -m benchmarks.regression OLD.json NEW.json`.
END
}

quick=no
setup=yes
out=$root/benchmarks/results
names=()
peers=no
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=yes ;;
        --no-setup) setup=no ;;
        --peers) peers=yes ;;
        --out) [ $# -gt 1 ] || { usage >&2; exit 2; }; out=$(realpath -m "$2"); shift ;;
        -h | --help) usage; exit 0 ;;
        stt | llm | tts | turn | barge_in | concurrency | peers) names+=("$1") ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
if [ ${#names[@]} = 0 ]; then
    names=(turn stt llm tts barge_in concurrency)
    [ $peers = no ] || names+=(peers)
fi

python=python
if [ $setup = yes ]; then
    scripts/setup --dev --benchmarks || exit 1
    python=$root/.venv/bin/python
else
    missing=()
    for program in flite espeak-ng; do
        command -v $program >/dev/null || missing+=($program)
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "Error: the questions need voices: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi
machine=$("$python" -m benchmarks.together --name) || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"

failed=()
measure() { # NAME ARGUMENTS...
    local name=$1 began=$SECONDS && shift
    echo "== $name $*" >&2
    "$python" -m "benchmarks.$name" --json "$work/$name.json" --plot "$out/$machine-$name.png" "$@" \
        || failed+=("$name")
    echo "== $name took $((SECONDS - began)) s" >&2
}

for name in "${names[@]}"; do
    case $name in
        turn)
            arguments=(--turns 40 --waterfall "$out/$machine-waterfall.png")
            [ $quick = no ] || arguments+=(--quick)
            measure bench_turn "${arguments[@]}" ;;
        stt)
            # On a CPU a smaller model, which is nobody's default, is measured too.
            [[ $machine != cpu-* ]] || "$python" -m local_voice models pull whisper-tiny.en >&2
            arguments=(--questions 20)
            [ $quick = no ] || arguments=(--quick)
            measure bench_stt "${arguments[@]}" ;;
        llm)
            arguments=()
            [ $quick = no ] || arguments=(--quick)
            measure bench_llm "${arguments[@]}" ;;
        tts)
            arguments=()
            [ $quick = no ] || arguments=(--quick)
            measure bench_tts "${arguments[@]}" ;;
        barge_in)
            arguments=(--times 12)
            [ $quick = no ] || arguments=(--quick)
            measure bench_barge_in "${arguments[@]}" ;;
        concurrency)
            arguments=(--seconds 20 --most 512)
            [ $quick = no ] || arguments=(--quick)
            measure bench_concurrency "${arguments[@]}" ;;
        peers)
            arguments=(--turns 12)
            [ $quick = no ] || arguments=(--quick)
            measure compare_peers "${arguments[@]}" ;;
    esac
done

"$python" -m benchmarks.together "$out/$machine.json" "$work"/*.json || exit 1
if [ ${#failed[@]} -gt 0 ]; then
    echo "Failed: ${failed[*]}" >&2
    exit 1
fi
