//! One file per hook.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod signal_deliver;
mod signal_generate;
mod wait;
