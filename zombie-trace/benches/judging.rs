//! What it costs to look at a parent when it is judged: one that is plain, one with 100,000 descriptors (or as
//! many as the hard limit allows), one with 5,000 threads.
//!
//! `cargo bench -p zombie-trace --bench judging`, as root. A reader does this work, a process of its own, so it never
//! stands in the way of the ring.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use divan::Bencher;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zombie_trace::{
    event::ProcessKey,
    source::proc::{Census, Depth, ProcReader, RingCache},
};

const PARENTS: [Parent; 3] = [Parent::Plain, Parent::Descriptors, Parent::Threads];
const DESCRIPTORS: usize = 100_000;
const THREADS: usize = 5_000;
/// Tells a process of this program which parent it is to be.
const ROLE: &str = "ZT_JUDGED";

#[derive(Clone, Copy, Debug)]
enum Parent {
    Plain,
    Descriptors,
    Threads,
}

fn main() {
    match std::env::var(ROLE).as_deref() {
        Ok("Descriptors") => be_looked_at(DESCRIPTORS, 0),
        Ok("Threads") => be_looked_at(0, THREADS),
        Ok(_) => be_looked_at(0, 0),
        Err(_) => divan::main(),
    }
}

/// Opens and starts so much, says so, and ends with standard input.
fn be_looked_at(descriptors: usize, threads: usize) {
    // As many as the hard limit allows.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("it is allowed");
    let files: Vec<_> = (0..descriptors).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
    for _ in 0..threads {
        std::thread::Builder::new().stack_size(64 << 10).spawn(std::thread::park).expect("there is room");
    }
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    drop(files);
    std::process::exit(0);
}

struct Judged {
    child: Child,
    key: ProcessKey,
    proc: ProcReader,
}

impl Judged {
    fn start(parent: Parent) -> Self {
        let this = std::env::current_exe().expect("the kernel names the running program");
        let mut child = Command::new(this)
            .env(ROLE, format!("{parent:?}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs already");
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut String::new()).expect("it says when it is ready");
        let proc = ProcReader::new("/proc".into());
        let key = proc.seed(child.id()).expect("it runs").process;
        Self { child, key, proc }
    }
}

impl Drop for Judged {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("it is our child");
    }
}

/// All of it, as a reader does it for each question.
#[divan::bench(args = PARENTS)]
fn look(bencher: Bencher<'_, '_>, parent: Parent) {
    let judged = Judged::start(parent);
    let mut census = Census::default();
    let mut rings = RingCache::default();
    bencher.bench_local(|| {
        let Judged { key, proc, .. } = &judged;
        let limits = proc.limits(*key, 0, &mut census, &mut || {});
        let facts = proc.look(key.pid, key.start_ns, Depth::Full);
        let ring = rings.uses_io_uring(proc, *key, Depth::Full, &mut Vec::new());
        (limits, facts, ring, proc.doing(*key, Depth::Full, proc.is_32bit(key.pid)))
    });
}

/// The walk over its descriptors, which a reader does once for a process.
#[divan::bench(args = PARENTS)]
fn descriptors(bencher: Bencher<'_, '_>, parent: Parent) {
    let judged = Judged::start(parent);
    bencher.bench_local(|| RingCache::default().uses_io_uring(&judged.proc, judged.key, Depth::Full, &mut Vec::new()));
}

/// What its threads do.
#[divan::bench(args = PARENTS)]
fn doing(bencher: Bencher<'_, '_>, parent: Parent) {
    let judged = Judged::start(parent);
    bencher.bench_local(|| judged.proc.doing(judged.key, Depth::Full, Some(false)));
}
