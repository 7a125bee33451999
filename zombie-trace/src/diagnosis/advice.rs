//! Advice that depends on what the parent is written in and where it runs.

use super::{Case, programs};
use crate::{
    container,
    event::{Cgroup, Runtime},
};

/// How the waiter should wait for its children, in terms of its language.
pub(super) fn for_parent(case: &Case<'_>) -> String {
    let known = case.waiter.and_then(|waiter| programs::advice(&waiter.identity));
    known.map_or_else(|| wait_for_it(case.facts().and_then(|facts| facts.runtime)), str::to_owned)
}

/// How to wait for a child that was started and forgotten.
pub(super) fn wait_for_it(runtime: Option<Runtime>) -> String {
    match runtime {
        Some(Runtime::Go) => "Call cmd.Wait() for each cmd.Start(), in a goroutine if necessary; cmd.Run() does both.",
        Some(Runtime::Python) => {
            "Keep the Popen object and call poll() or wait() on it; after os.fork(), call os.waitpid()."
        }
        Some(Runtime::Node) => {
            "Node reaps what child_process started as soon as its event loop runs: do not block the loop (use exec and \
             spawn, not execSync and spawnSync); native code that forks must reap its own children."
        }
        Some(Runtime::Java) => {
            "The JVM reaps what ProcessBuilder started; native code that forks must reap its own children, and a JVM \
             that runs as PID 1 needs an init in front."
        }
        Some(Runtime::Shell) => {
            "Add `wait` for background jobs to the script; a shell that becomes another program by `exec` leaves its \
             children to that program."
        }
        None => {
            "Call waitpid (or your runtime's equivalent) for each child, or set SIGCHLD to SIG_IGN if you do not need \
             exit statuses."
        }
    }
    .to_owned()
}

/// How to put an init in front of an application that runs as PID 1. `init` is one that the image contains.
pub(super) fn put_an_init_in_front(case: &Case<'_>, init: Option<&str>) -> String {
    init_in_front(case.waiter.and_then(|waiter| case.model.cgroup(waiter.identity.cgroup)), init)
}

/// The same for what runs in this cgroup.
pub(super) fn init_in_front(cgroup: Option<&Cgroup>, init: Option<&str>) -> String {
    let container = cgroup.and_then(Cgroup::container);
    let is_pod = container.as_ref().is_some_and(|container| container.pod.is_some())
        || cgroup.is_some_and(|cgroup| cgroup.path.contains("kubepods"));
    let runtime = container.map(|container| container.runtime);
    let entrypoint = |init: &str| {
        let separator = if init.ends_with("tini") || init.ends_with("docker-init") { r#", "--""# } else { "" };
        format!(r#"["{init}"{separator}]"#)
    };
    match (init, is_pod) {
        (Some(init), true) => format!(
            "In the pod spec omit `command:` and pass the arguments in `args:`, so that the image's entrypoint stays; \
             or set `command: {}`.",
            entrypoint(init)
        ),
        (Some(init), false) => format!(
            "Restore it as entrypoint: `ENTRYPOINT {}` in the Dockerfile, and no --entrypoint that replaces it.",
            entrypoint(init)
        ),
        (None, true) => r#"Set `shareProcessNamespace: true` in the pod spec, or in the Dockerfile `ENTRYPOINT ["/usr/bin/tini", "--"]`."#.to_owned(),
        (None, false) if runtime == Some(container::Runtime::Docker) => r#"Start it with `docker run --init` (compose: `init: true`), or in the Dockerfile `ENTRYPOINT ["/usr/bin/tini", "--"]`."#.to_owned(),
        (None, false) if runtime == Some(container::Runtime::Podman) => r#"Start it with `podman run --init`, or in the Containerfile `ENTRYPOINT ["/usr/bin/tini", "--"]`."#.to_owned(),
        (None, false) => "Run an init as PID 1: `docker run --init`, or tini, dumb-init or catatonit as entrypoint; in \
                          a pod `shareProcessNamespace: true`."
            .to_owned(),
    }
}
