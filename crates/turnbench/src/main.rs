//! turnbench
fn main() {}
