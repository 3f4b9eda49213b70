#!/usr/bin/env bash
# Layers, format, clippy in every build that there is, and the documentation's links.
source "$(dirname "$0")/lib.sh"

step "layers" ci/layers.sh
step "format" cargo fmt --all --check
step "clippy" cargo clippy --workspace --all-targets -- -D warnings
step "clippy, crash build" cargo clippy --workspace --all-targets --features slipring-tests/crash -- -D warnings
RUSTFLAGS="--cfg loom" step "clippy, models" cargo clippy -p slipring-core --all-targets --target-dir target/loom -- -D warnings
fuzz() {
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --manifest-path fuzz/Cargo.toml --all-targets --target-dir target/fuzz -- -D warnings
}
step "format and clippy, fuzz targets" fuzz
comparison() {
    cargo fmt --manifest-path benches/comparison/Cargo.toml --check
    cargo clippy --manifest-path benches/comparison/Cargo.toml --no-default-features --profile quick --all-targets \
        --target-dir target/comparison -- -D warnings
}
step "format and clippy, comparison" comparison
RUSTDOCFLAGS="-D warnings" step "docs" cargo doc --workspace --no-deps --document-private-items
