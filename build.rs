//! Rebuilds the program when a page that `flowsmith explain` prints is added.

fn main() {
    println!("cargo::rerun-if-changed=docs/findings");
}
