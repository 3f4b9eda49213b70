#!/usr/bin/env bash
# Builds the user's guide with mdBook, which is installed into target/tools if it is not there (some minutes, once), and
# the reference, whose pages must have examples. Compares the picture and the table at the top of README.md with docs/figures.md.
source "$(dirname "$0")/lib.sh"

mdbook=$(command -v mdbook || true)
if [ -z "$mdbook" ]; then
    mdbook=target/tools/bin/mdbook
    [ -x "$mdbook" ] || step "mdBook" cargo install -q mdbook --version 0.4.52 --locked --no-default-features --root target/tools --target-dir target/tools/build
fi
guide() {
    "$mdbook" build docs/guide
    # Every chapter of the summary became a page, and no other was forgotten.
    for page in docs/guide/src/*.md; do
        name=$(basename "$page" .md)
        [ "$name" = SUMMARY ] || [ -e "target/guide/$name.html" ] || die "$page is not in SUMMARY.md"
    done
}
step "the picture and the table in README.md" python3 ci/picture.py --check
step "the guide, in target/guide" guide
# What an item had that is gone now is not to be looked at below.
rm -rf target/doc/slipring
RUSTDOCFLAGS="-D warnings" step "the reference, in target/doc" cargo doc --workspace --no-deps
step "every page of the reference has an example" python3 ci/pages.py target/doc/slipring
