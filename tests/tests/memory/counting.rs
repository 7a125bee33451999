//! An allocator that counts what each thread has, so that a test sees only its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes that this thread has allocated and not freed; what it frees for another counts against it.
    static NOW: Cell<isize> = const { Cell::new(0) };
    /// The most since the last reset.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now.get())));
    });
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: everything is done by the system's allocator; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-signed(layout.size()));
        // SAFETY: the caller keeps to the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both are there.
        add(signed(size));
        add(-signed(layout.size()));
        // SAFETY: the caller keeps to the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What this thread has now, bytes.
pub(crate) fn held() -> isize {
    NOW.get()
}

/// What this thread had at most, bytes, while this ran, beyond what it had before.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let value = work();
    (value, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

#[test]
fn the_peak_is_what_was_there_at_a_time() {
    let (length, peak) = peak_of(|| {
        drop(std::hint::black_box(vec![1_u8; 3 << 20]));
        std::hint::black_box(vec![1_u8; 2 << 20]).len()
    });
    assert_eq!(length, 2 << 20);
    assert!((3 << 20..3 << 20 | 64 << 10).contains(&peak), "{peak}");
}
