//! The programs that are graded, and how they are started.

use std::path::Path;

use anyhow::Result;

use super::prepare;

/// The table that a program belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// It starts other programs and waits for them.
    Starter,
    /// It is the application itself.
    Application,
    /// It does not start under `init-check`, and has no column.
    NotStarting,
}

/// One program.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) group: Group,
    /// Further options, such as a stop signal.
    pub(super) options: &'static [&'static str],
    /// The command; `DIR` in it is the folder that `prepare` has filled.
    pub(super) command: &'static [&'static str],
    pub(super) prepare: Option<fn(&Path) -> Result<()>>,
    /// A note for readers, in Markdown.
    pub(super) note: &'static str,
}

/// In the order of the columns.
pub(super) const SUBJECTS: &[Subject] = &[
    starter("tini", &["tini", "--", "sleep", "1000"]),
    starter("dumb-init", &["dumb-init", "sleep", "1000"]),
    starter("catatonit", &["catatonit", "--", "sleep", "1000"]),
    Subject { prepare: Some(prepare::service), ..starter("s6-svscan", &["s6-svscan", "DIR"]) },
    Subject {
        options: &["--stop-signal", "PWR", "--rootfs", "DIR"],
        prepare: Some(prepare::runit_root),
        note: "This is Debian's runit. Its stop signal is SIGPWR.",
        ..starter("runit", &["runit"])
    },
    Subject {
        options: &["--rootfs", "DIR"],
        prepare: Some(prepare::busybox_root),
        note: REAPS_EACH_SECOND,
        ..starter("busybox init", &["busybox", "init"])
    },
    Subject {
        // Python takes a moment before it starts the program.
        options: SLOW,
        prepare: Some(prepare::supervisord),
        note: REAPS_EACH_SECOND,
        ..starter("supervisord", &["supervisord", "-n", "-c", "DIR/supervisord.conf"])
    },
    Subject {
        note: "The `exit` keeps the shell from replacing itself by its last command.",
        ..starter("bash -c", &["bash", "-c", "{workload}; exit $?"])
    },
    Subject {
        note: "Debian's `sh` is dash, so this is what `sh -c` does there.",
        ..starter("dash -c", &["dash", "-c", "{workload}; exit $?"])
    },
    Subject {
        note: "bash runs the trap only when its foreground child has exited.",
        ..starter("bash, trap", &["bash", "-c", "trap \"exit 0\" TERM; {workload}; exit $?"])
    },
    Subject {
        note: "The child is in the background. A signal with a trap interrupts `wait`, so the trap runs at once and \
               kills the child. The second `wait` is for the time that the child takes to exit.",
        ..starter(
            "bash, trap and wait",
            &["bash", "-c", "{workload} & child=$!; trap \"kill $child\" TERM; wait $child; wait $child"],
        )
    },
    Subject {
        options: SLOW,
        prepare: Some(prepare::package),
        note: "The start script is `env`, which runs its arguments.",
        ..starter("npm", &["npm", "start", "--prefix", "DIR", "--", "{workload}"])
    },
    Subject {
        options: SLOW,
        prepare: Some(prepare::package),
        note: "This is yarn 1, from Debian's `yarnpkg`. The start script is `env`, which runs its arguments.",
        ..starter("yarn", &["yarnpkg", "--cwd", "DIR", "start", "{workload}"])
    },
    application("sleep", &["sleep", "1000"]),
    application("node", &["node", "-e", "require(\"http\").createServer().listen(0)"]),
    application("python3 -m http.server", &["python3", "-m", "http.server", "0"]),
    application("ruby", &["ruby", "-rsocket", "-e", "server = TCPServer.new(0); loop { server.accept.close }"]),
    Subject {
        options: SLOW,
        note: "The program is a small server that every Java runtime has. SIGUSR2 is the JVM's own: from elsewhere it \
               crashes the program, which counts as an effect in `forwards-usr2`.",
        ..application("java", &["java", "-m", "java.rmi/sun.rmi.registry.RegistryImpl"])
    },
    Subject {
        options: &["--stop-signal", "QUIT"],
        prepare: Some(prepare::nginx),
        note: "Its image sets the stop signal SIGQUIT, on which the workers finish their requests.",
        ..application("nginx", &["nginx", "-c", "DIR/nginx.conf", "-g", "daemon off;"])
    },
    Subject {
        options: &["--stop-signal", "WINCH", "--settle", "2s"],
        prepare: Some(prepare::apache),
        note: "Its image sets the stop signal SIGWINCH, on which the workers finish their requests. It looks for \
               exited children once a second, which is all the time that a check gives it: some pass by luck.",
        ..application("apache2", &["apache2", "-f", "DIR/apache2.conf", "-D", "FOREGROUND"])
    },
    Subject {
        options: &["--stop-signal", "INT", "--settle", "2s", "--user", "65534:65534"],
        prepare: Some(prepare::postgres),
        note: "Its image sets the stop signal SIGINT, on which the server ends its sessions. It refuses to run as \
               root, so all checks are made as another user. An orphan that exits with a code other than 0 and 1 \
               looks to it like a session that crashed: it reaps the orphan, then ends all sessions and recovers. A \
               stop at that moment does not always end it, so `without-terminal`, `with-terminal` and \
               `no-pids-left` differ from run to run.",
        ..application("postgres", &["DIR/postgres", "-D", "DIR/data", "-k", "/dev/shm", "-c", "fsync=off"])
    },
    application("redis", &["redis-server", "--dir", "/dev/shm"]),
    Subject {
        group: Group::NotStarting,
        options: &["--rootfs", "DIR"],
        prepare: Some(prepare::systemd_root),
        note: "At its start it mounts `/run` and a tree of cgroups, or needs both to be there and writable. \
               `init-check` gives a command neither the right to mount nor a writable tree of cgroups, in which it \
               could lift its own limits. Docker gives neither by default, either, and systemd does not start there. \
               Run as PID 1 of a container that has them, it can be watched with `zombie-trace live`.",
        ..starter("systemd", &["env", "container=docker", "/lib/systemd/systemd"])
    },
];

/// How long a program that starts slowly must start nothing to count as started.
const SLOW: &[&str] = &["--settle", "2s"];

const REAPS_EACH_SECOND: &str =
    "It looks for exited children once a second, which is all the time that a check gives it: some pass by luck.";

const fn starter(name: &'static str, command: &'static [&'static str]) -> Subject {
    Subject { name, group: Group::Starter, options: &[], command, prepare: None, note: "" }
}

const fn application(name: &'static str, command: &'static [&'static str]) -> Subject {
    Subject { group: Group::Application, ..starter(name, command) }
}

/// The names in a group.
pub(super) fn names(group: Group) -> Vec<&'static str> {
    SUBJECTS.iter().filter(|subject| subject.group == group).map(|subject| subject.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_shown_in_single_quotes() {
        assert!(SUBJECTS.iter().all(|subject| subject.command.iter().all(|word| !word.contains('\''))));
    }

    #[test]
    fn names_are_unique_and_fit_into_a_table() {
        for (index, subject) in SUBJECTS.iter().enumerate() {
            assert!(!subject.name.contains('|'), "{}", subject.name);
            assert!(SUBJECTS[..index].iter().all(|other| other.name != subject.name), "{}", subject.name);
        }
    }
}
