#!/usr/bin/env bash
# Measures this machine: sets up what is missing, runs the benchmarks one after the other, and writes
# benchmarks/results/MACHINE.json and the pictures beside it.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1

usage() {
    cat <<'END'
Usage: benchmarks/run_all.sh [--quick] [--no-setup] [--peers] [--out FOLDER] [NAME...]

46 minutes on two cores. On a machine with a GPU it asks less (20 turns, not 40, at most 4 levels of concurrency,
not 10); what that takes is not measured, some 13 minutes are reckoned, and before them one start that compiles.
Nothing else should be at work meanwhile.

  --quick     only see that everything works, in 5 minutes: the figures mean little
  --no-setup  measure with the Python that is on the PATH, instead of scripts/setup's
  --peers     also the comparison with Pipecat and speech-to-speech; installs them, 25 minutes more
  --out       where results go (benchmarks/results)
  NAME        only these: stt llm tts turn barge_in concurrency peers; and, not taken without their names,
              conversation (turn-taking, 15 minutes) and network (losses and jitter)

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
        stt | llm | tts | turn | barge_in | concurrency | peers | conversation | network) names+=("$1") ;;
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

# On two cores a turn takes 7 to 8 s and a level 28 s, of which there are two series: 40 turns and 6 or 7 powers of
# two alone are 11 minutes, about what all should take on a GPU box, and there a model of 4B starts five times. 20
# turns are the fewest whose tail regression.py judges; one event loop is full at 16 to 24 conversations.
turns=40
levels=(--most 512)
if [[ $machine != cpu-* ]]; then
    turns=20
    levels=(--levels 1,16,64)
fi
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
            if [[ $machine != cpu-* ]]; then
                # The first start on a GPU compiles what later ones load, and bench_turn reports a warm one.
                echo "== a first start, not measured" >&2
                "$python" -m benchmarks.bench_turn --quick >&2
            fi
            arguments=(--turns $turns --waterfall "$out/$machine-waterfall.png")
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
            arguments=(--seconds 20 "${levels[@]}")
            [ $quick = no ] || arguments=(--quick)
            measure bench_concurrency "${arguments[@]}" ;;
        peers)
            arguments=(--turns 10)
            [ $quick = no ] || arguments=(--quick)
            measure compare_peers "${arguments[@]}" ;;
        conversation)
            arguments=()
            [ $quick = no ] || arguments=(--quick)
            measure bench_conversation "${arguments[@]}" ;;
        network)
            arguments=()
            [ $quick = no ] || arguments=(--quick)
            measure bench_network "${arguments[@]}" ;;
    esac
done

"$python" -m benchmarks.together "$out/$machine.json" "$work"/*.json || exit 1
if [ ${#failed[@]} -gt 0 ]; then
    echo "Failed: ${failed[*]}" >&2
    exit 1
fi
