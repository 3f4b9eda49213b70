//! Rings: one file each.
