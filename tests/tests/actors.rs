//! Actor tests.
fn main() {}
