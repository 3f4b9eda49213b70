#!/usr/bin/env bash
# Every fuzz target, with AddressSanitizer, for so many seconds each (10 unless told otherwise).
source "$(dirname "$0")/lib.sh"

seconds=${1:-10}
# A directory of its own, kept between runs, so that what was found once is tried first.
dir=target/fuzz
# The sanitizer is an option that stable rustc has and does not admit to.
export RUSTC_BOOTSTRAP=1

command -v c++ >/dev/null || die "no C++ compiler, which libFuzzer is built with: install g++"
cargo fuzz --version >/dev/null 2>&1 || step "install cargo-fuzz" cargo install cargo-fuzz --locked
# An assignment of its own, so that a failure of the command ends the script.
listed=$(cargo fuzz list)
mapfile -t targets <<<"$listed"
[ -n "${targets[0]}" ] || die "there are no fuzz targets"

# -len_control=0: long inputs from the start; in so short a time they would not be reached.
# -detect_leaks=0: it runs each input twice or thrice, and what leaks here is blocks, which the targets count.
# -timeout: a call that hangs is a finding.
fuzz() {
    local target=$1 log=$dir/$1.log
    mkdir -p "$dir/corpus/$target" "$dir/artifacts/$target"
    cargo fuzz run -s address --target-dir "$dir" "$target" "$dir/corpus/$target" -- \
        -artifact_prefix="$dir/artifacts/$target/" -max_total_time="$seconds" -rss_limit_mb=4096 \
        -max_len=1024 -len_control=0 -detect_leaks=0 -timeout=10 >"$log" 2>&1 ||
        { tail -n 60 "$log" >&2; die "$target found something: $log"; }
    local runs
    runs=$(sed -n 's/^Done \([0-9]*\) runs in .*/\1/p' "$log")
    [ "${runs:-0}" -gt 0 ] || die "$target ran nothing: $log"
    printf '%s: %s inputs\n' "$target" "$runs"
}

step "build ${#targets[@]} targets" cargo fuzz build -s address --target-dir "$dir"
for target in "${targets[@]}"; do
    step "$target" fuzz "$target"
done
