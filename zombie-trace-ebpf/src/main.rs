//! The eBPF programs: one file per hook in `probes`, shared code in `kernel`.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod kernel;
mod probes;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The programs cannot panic, but the compiler needs a handler, and BPF has no trap.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
