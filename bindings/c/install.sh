#!/usr/bin/env bash
# Builds the C library and installs it, its header and its pkg-config file: ./install.sh PREFIX [--debug]
# Needs cargo; writes to PREFIX/lib and PREFIX/include only. DESTDIR is put before PREFIX, as packagers expect.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

[ $# -ge 1 ] || { echo "usage: install.sh PREFIX [--debug]" >&2; exit 2; }
prefix=$1
profile=release
[ "${2:-}" = --debug ] && profile=dev
target=${CARGO_TARGET_DIR:-$here/../../target}
built=$target/$([ "$profile" = dev ] && echo debug || echo release)
to=${DESTDIR:-}$prefix

(cd "$here" && cargo build -q -p slipring-c --profile "$profile")
install -d "$to/lib/pkgconfig" "$to/include"
install -m 644 "$built/libslipring_c.a" "$to/lib/"
install -m 755 "$built/libslipring_c.so" "$to/lib/"
install -m 644 "$here/slipring.h" "$to/include/"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml" | head -1)
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" "$here/slipring.pc.in" >"$to/lib/pkgconfig/slipring.pc"
echo "installed slipring $version for C in $to; PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs slipring"
