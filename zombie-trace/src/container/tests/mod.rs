//! Tests of what the module offers, by subject.

mod cgroup;
mod kubelet;
mod output;
mod proc_cgroup;
mod selector;
mod state;

/// An id as the runtimes make them.
const A: &str = "aa0f9c31d1b6c4a1f0f3b7b2a9d0e5c8e1d2c3b4a5968778695a4b3c2d1e0f01";
/// Another.
const B: &str = "bb1e8d20c2a5d3b0e1e2c6a3b8c1f4d9f0c3d2a5b4879669784b5a2d3c0f1e02";
/// A pod's UID as the API server prints it.
const UID: &str = "5c3f1a7e-8b0d-4f7e-9a61-2d4c6e8f0a1b";
/// The same in a slice's name.
const UID_: &str = "5c3f1a7e_8b0d_4f7e_9a61_2d4c6e8f0a1b";
/// A static pod's UID.
const HASH: &str = "8e0b6c2d4f1a3957b8d6e4c2a0f18375";

/// Replaces `{A}`, `{B}`, `{UID}`, `{UID_}`, `{HASH}`.
fn fill(text: &str) -> String {
    text.replace("{A}", A).replace("{B}", B).replace("{UID}", UID).replace("{UID_}", UID_).replace("{HASH}", HASH)
}
