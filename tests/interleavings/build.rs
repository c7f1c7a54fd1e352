//! Builds this package's copies upon loom.

fn main() {
    println!("cargo::rustc-cfg=interleavings");
}
