//! Userspace of zombie-trace. Data flows one way: source → decode → model → diagnosis → output.

pub mod container;
pub mod decode;
pub mod event;
pub mod kernel;
pub mod model;
pub mod probe;
pub mod source;
