//! Userspace of zombie-trace. Data flows one way: source → decode → model → diagnosis → output.

pub mod abi;
pub mod cli;
pub mod commands;
pub mod container;
pub mod decode;
pub mod diagnosis;
pub mod event;
pub mod explain;
pub mod export;
pub mod files;
pub mod image;
pub mod init_check;
pub mod kernel;
pub mod model;
pub mod output;
pub mod policy;
pub mod probe;
pub mod programs;
pub mod recording;
pub mod remedy;
pub mod report;
pub mod scan;
pub mod signal;
pub mod source;
pub mod text;
