#!/usr/bin/env bash
# How fast `slipring put` and `slipring get` move a file of lines, beside a FIFO that is read line by line.
#
#   benches/put_get.sh [MEGABYTES] [RUNS] [SINK]        1000 megabytes, 5 runs, SINK is file, pipe or null
#
# Compared, one after the other in each run, with the same lines (20 to 119 bytes and a line feed) from a file in memory to
# the same sink, a file in memory unless told otherwise:
#
#   fifo         cat FILE > FIFO, and a program that reads the FIFO through a buffer and writes each line with one
#                system call (cli/examples/by_line.rs)
#   get          slipring put NAME FILE, and slipring get NAME: a line is written before the next is taken
#   get --batch  the same, and slipring get --batch 1000 NAME
#
# What came out is compared with what went in. Printed are the medians; the time is from the start of both processes to the
# end of both.
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-1000} runs=${2:-5} sink=${3:-file}

# Where the programs are, if they are built. Without optimisations they run, but their figures say nothing.
built=${BUILT:-target/release}
[ -n "${BUILT:-}" ] || cargo build --quiet --release -p slipring-cli --bin slipring --example by_line
slipring=$built/slipring by_line=$built/examples/by_line
dir=$(mktemp -d "${SLIPRING_DIR:-/dev/shm}/put-get.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkfifo "$dir/fifo"
awk -v bytes="$((megabytes * 1000000))" 'BEGIN {
    srand(1); for (i = 0; i < 120; i++) line[i] = sprintf("%*s", i, "")
    for (done = 0; done < bytes; done += n + 1) { n = 20 + int(rand() * 100); print line[n] }
}' > "$dir/lines"
lines=$(wc -l < "$dir/lines")

# Runs a writer and a reader, with the reader's output to the sink; prints the seconds.
timed() {
    local start end
    start=$(date +%s%N)
    bash -c "$1" &
    case $sink in
    file) bash -c "exec $2" > "$dir/out" ;;
    pipe) bash -c "$2 | cat" > /dev/null ;;
    null) bash -c "exec $2" > /dev/null ;;
    *) echo "no such sink: $sink" >&2 && exit 2 ;;
    esac
    wait $!
    end=$(date +%s%N)
    if [ "$sink" = file ]; then cmp "$dir/out" "$dir/lines" >&2 && rm "$dir/out"; fi
    echo $((end - start))
}

name=bench-$$
for ((run = 0; run < runs; run++)); do
    timed "exec cat $dir/lines > $dir/fifo" "$by_line < $dir/fifo" >> "$dir/fifo.times"
    timed "exec $slipring put $name $dir/lines" "$slipring get $name" >> "$dir/get.times"
    timed "exec $slipring put $name $dir/lines" "$slipring get --batch 1000 $name" >> "$dir/batch.times"
done

median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p"; }
fifo=$(median "$dir/fifo.times")
echo "$lines lines, $megabytes MB, to a $sink; medians of $runs interleaved runs"
row() {
    awk -v name="$1" -v nanos="$2" -v fifo="$fifo" -v lines="$lines" 'BEGIN {
        printf "%-18s %8.3f s  %11.0f lines/s  %5.2f x the FIFO\n", name, nanos / 1e9, lines * 1e9 / nanos, fifo / nanos }'
}
row "fifo" "$fifo"
row "get" "$(median "$dir/get.times")"
row "get --batch 1000" "$(median "$dir/batch.times")"
