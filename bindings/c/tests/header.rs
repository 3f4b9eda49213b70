//! The header that is checked in is the one that the sources make.

use std::path::Path;

/// Set to write the header instead of comparing it.
const WRITE: &str = "SLIPRING_WRITE_HEADER";

#[test]
fn the_header_is_made_from_these_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_crate(root)
        .generate()
        .expect("the sources have a C interface")
        .write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = root.join("slipring.h");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made.contains("slipring_recv(") && made.contains("SLIPRING_E_TOO_SMALL"), "{made}");
    let advice =
        format!("{} is old: run {WRITE}=1 cargo test -p slipring-c --test header", path.display());
    assert!(there == made, "{advice}");
}
