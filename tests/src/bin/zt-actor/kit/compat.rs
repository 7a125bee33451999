//! System calls of 32-bit programs, made from this 64-bit one: `int $0x80` takes the i386 numbers on any thread.

use nix::errno::Errno;

/// i386's numbers (`arch/x86/entry/syscalls/syscall_32.tbl`).
const GETPID: i32 = 20;
const WAIT4: i32 = 114;
const WAITID: i32 = 284;

/// Whether the kernel supports such calls; otherwise it kills the caller with SIGSEGV, so call it in a child.
pub(crate) fn answers() -> bool {
    call(GETPID, [0; 5]) == i32::try_from(std::process::id()).unwrap_or(-1)
}

/// Reaps this child without looking at its status.
pub(crate) fn wait4(pid: i32) -> nix::Result<i32> {
    result(call(WAIT4, [pid, 0, 0, 0, 0]))
}

/// The same.
pub(crate) fn waitid(pid: i32) -> nix::Result<()> {
    result(call(WAITID, [libc::P_PID as i32, pid, 0, libc::WEXITED, 0])).map(drop)
}

fn result(returned: i32) -> nix::Result<i32> {
    if returned < 0 { Err(Errno::from_raw(-returned)) } else { Ok(returned) }
}

#[cfg(target_arch = "x86_64")]
fn call(number: i32, [first, second, third, fourth, fifth]: [i32; 5]) -> i32 {
    let mut result = number;
    // SAFETY: no argument is an address, so the kernel touches no memory; it keeps all registers but eax and, in
    // some versions, r8 to r11. rbx cannot be named as an operand.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) i64::from(first) => _,
            inout("eax") result,
            in("ecx") second,
            in("edx") third,
            in("esi") fourth,
            in("edi") fifth,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn call(_number: i32, _arguments: [i32; 5]) -> i32 {
    -libc::ENOSYS
}
