//! Builds this package's copy of the context upon loom.

fn main() {
    println!("cargo::rustc-cfg=interleavings");
}
