//! One `waitid` by io_uring (Linux 6.7): a reap without a wait system call.
//!
//! The layouts are those of `include/uapi/linux/io_uring.h`. A ring for one request is not worth a dependency.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use nix::errno::Errno;

const IORING_OP_WAITID: u8 = 50;
const IORING_ENTER_GETEVENTS: u32 = 1;
const IORING_FEAT_SINGLE_MMAP: u32 = 1;
const IORING_OFF_SQ_RING: i64 = 0;
const IORING_OFF_SQES: i64 = 0x1000_0000;
const ENTRIES: u32 = 1;

/// `struct io_sqring_offsets`, then `struct io_cqring_offsets`.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    /// Of the submission queue: flags, dropped, array. Of the completion queue: overflow, cqes, flags.
    rest: [u32; 3],
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_params`.
#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: Offsets,
    cq: Offsets,
}

/// The part of `struct io_uring_sqe` that waitid takes (`io_uring/waitid.c`).
#[repr(C)]
#[derive(Default)]
struct Request {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    /// The pid.
    fd: i32,
    /// The address of a siginfo, or 0.
    addr2: u64,
    addr: u64,
    /// `P_PID`.
    len: u32,
    waitid_flags: u32,
    user_data: u64,
    buf: u16,
    personality: u16,
    /// `WEXITED`.
    file_index: u32,
    addr3: u64,
    padding: u64,
}

const _: () = assert!(size_of::<Params>() == 120 && size_of::<Request>() == 64);

/// A mapping of the kernel's memory, unmapped on drop.
struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    fn of(ring: &OwnedFd, offset: i64, length: usize) -> anyhow::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED | libc::MAP_POPULATE, ring.as_raw_fd(), offset)
        };
        ensure!(start != libc::MAP_FAILED, "a ring cannot be mapped: {}", Errno::last());
        Ok(Self { start: start.cast(), length })
    }

    /// The number at this offset, which the kernel writes too.
    fn number(&self, offset: u32) -> &AtomicU32 {
        assert!(offset as usize + 4 <= self.length);
        // SAFETY: it is inside the mapping, aligned as the kernel laid it out, and lives as long as the mapping.
        unsafe { AtomicU32::from_ptr(self.start.add(offset as usize).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped in `of`, and nothing that points into it outlives the value.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// Reaps this child without taking its status. `EINVAL` where the kernel does not know the operation.
pub(crate) fn waitid(pid: i32) -> anyhow::Result<Result<(), Errno>> {
    let mut params = Params::default();
    // SAFETY: the parameters outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut params) };
    let fd = match Errno::result(fd) {
        Ok(fd) => i32::try_from(fd)?,
        // Disabled by sysctl or not built in: treated like an unknown operation.
        Err(Errno::EPERM | Errno::ENOSYS) => return Ok(Err(Errno::EINVAL)),
        Err(error) => return Err(error).context("io_uring_setup"),
    };
    // SAFETY: the kernel has just made this descriptor for us alone.
    let ring = unsafe { OwnedFd::from_raw_fd(fd) };
    ensure!(params.features & IORING_FEAT_SINGLE_MMAP != 0, "an io_uring older than Linux 5.4");
    let ([_, _, array], [_, cqes, _]) = (params.sq.rest, params.cq.rest);
    let length = (array + params.sq_entries * 4).max(cqes + params.cq_entries * 16);
    let queues = Mapping::of(&ring, IORING_OFF_SQ_RING, length as usize)?;
    let requests = Mapping::of(&ring, IORING_OFF_SQES, params.sq_entries as usize * size_of::<Request>())?;

    let request = Request {
        opcode: IORING_OP_WAITID,
        fd: pid,
        len: libc::P_PID,
        file_index: libc::WEXITED as u32,
        ..Request::default()
    };
    // SAFETY: the mapping holds at least one request, and the kernel does not look at it before `io_uring_enter`.
    unsafe { requests.start.cast::<Request>().write(request) };
    queues.number(array).store(0, Ordering::Relaxed);
    queues.number(params.sq.tail).fetch_add(1, Ordering::Release);
    let no_mask = ptr::null::<libc::sigset_t>();
    // SAFETY: the ring is open; there is no signal mask.
    let entered =
        unsafe { libc::syscall(libc::SYS_io_uring_enter, ring.as_raw_fd(), 1, 1, IORING_ENTER_GETEVENTS, no_mask, 0) };
    Errno::result(entered).context("io_uring_enter")?;
    ensure!(queues.number(params.cq.tail).load(Ordering::Acquire) == 1, "io_uring gave no answer");
    // `struct io_uring_cqe`: the user's data, then the result.
    let result = queues.number(cqes + 8).load(Ordering::Relaxed).cast_signed();
    Ok(if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(()) })
}
