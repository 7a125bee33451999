//! One file per hook.

mod exec;
mod exit;
mod fork;
mod fork_failed;
mod free;
mod release;
mod signal_deliver;
mod signal_generate;
mod wait;
