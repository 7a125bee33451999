//! Servers that do nothing wrong, each in a pid namespace as in a container: they reap what they start, and nobody accuses them.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Namespace, TestResult, Tracer, clock, process, require, tests};

use super::clean::is_clean;
use super::soon;

pub(crate) fn all() -> Vec<Test> {
    tests![nginx_that_reloads, sshd_with_sessions, cron_with_a_job]
}

/// A folder of the test's own, removed with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("zt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the folder can be written");
        path.display().to_string()
    }

    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server as PID 1 of its namespace, under a tracer of the machine.
struct Server {
    tracer: Tracer,
    actor: Actor,
    pid: i32,
    pid_ns: u64,
    began: u64,
}

impl Server {
    fn start(command: &[&str]) -> Self {
        let tracer = Tracer::live(["--min-age", "1s"]).start();
        let began = clock::boot_now();
        let mut actor = Actor::spawn(["pidns-exec", "--"].iter().chain(command));
        let init = actor.line("init");
        Self { tracer, actor, pid: init.pid(), pid_ns: init.number("pid_ns"), began }
    }

    fn children(&self) -> BTreeSet<i32> {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    #[track_caller]
    fn gets(&self, what: &str, limit: Duration, so: impl FnMut() -> bool) {
        assert!(process::eventually(clock::scaled(limit), so), "{what} within {limit:?}");
    }

    /// It is stopped as a container is, and in all that time nobody had to complain.
    fn was_clean(mut self) {
        self.tracer.fence();
        self.actor.order("signal TERM");
        self.actor.line("exited");
        let namespace = Namespace::until_now(self.pid_ns, self.began);
        is_clean(&self.tracer.stop(), self.pid, Some(namespace));
    }
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is ours and lives");
}

fn nginx_that_reloads() -> TestResult {
    require::tracing()?;
    let nginx = require::program("nginx")?.display().to_string();
    let folder = Folder::new("nginx");
    let configuration = format!(
        "user root;\ndaemon off;\nworker_processes 2;\npid {0}/pid;\nerror_log {0}/log;\nevents {{}}\n\
         http {{ access_log off; server {{ listen unix:{0}/socket; }} }}\n",
        folder.path()
    );
    let server = Server::start(&[&nginx, "-p", &folder.path(), "-c", &folder.file("nginx.conf", &configuration)]);
    server.gets("its workers", soon(), || server.children().len() == 2);
    let first = server.children();
    send(server.pid, Signal::SIGHUP);
    server.gets("other workers", soon(), || {
        let now = server.children();
        now.len() == 2 && now.is_disjoint(&first)
    });
    let victim = *server.children().first().expect("there are two");
    send(victim, Signal::SIGKILL);
    server.gets("a worker in the place of one that was killed", soon(), || {
        let now = server.children();
        now.len() == 2 && !now.contains(&victim)
    });
    server.was_clean();
    Ok(())
}

fn sshd_with_sessions() -> TestResult {
    require::tracing()?;
    let sshd = require::program("sshd")?.display().to_string();
    let [ssh, keygen] = ["ssh", "ssh-keygen"].map(require::program);
    let (ssh, keygen) = (ssh?, keygen?);
    let folder = Folder::new("sshd");
    for key in ["host", "user"] {
        let mut command = Command::new(&keygen);
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.0.join(key));
        assert!(command.stdin(Stdio::null()).status().expect("ssh-keygen runs").success());
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let configuration = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/user.pub\nPidFile none\n\
         PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\n",
        folder.path()
    );
    // The folder that it chroots its unprivileged half into is part of the image of a container.
    let script = format!(
        "mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec {sshd} -D -e -f {}",
        folder.file("sshd_config", &configuration)
    );
    let server = Server::start(&["/bin/sh", "-c", &script]);
    server.gets("a listening sshd", soon(), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    for _ in 0..3 {
        let session = session(&ssh, &folder, port);
        assert!(session.status.success(), "{}", String::from_utf8_lossy(&session.stderr));
        assert_eq!(session.stdout, b"of the session\n");
    }
    server.was_clean();
    Ok(())
}

fn session(ssh: &Path, folder: &Folder, port: u16) -> std::process::Output {
    let options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=20"];
    let mut command = Command::new(ssh);
    command.args(["-F", "/dev/null", "-p", &port.to_string(), "-i"]).arg(folder.0.join("user"));
    command.args(options.iter().flat_map(|option| ["-o", option])).arg("root@127.0.0.1");
    command.arg("echo of the session | cat").stdin(Stdio::null()).output().expect("ssh runs")
}

fn cron_with_a_job() -> TestResult {
    require::tracing()?;
    let cron = require::program("cron")?.display().to_string();
    // It has no handler for SIGTERM: as PID 1 it would drop it, and with right be told so.
    let tini = require::program("tini")?.display().to_string();
    let folder = Folder::new("cron");
    let (job, ran) = (folder.file("job", ""), folder.0.join("ran"));
    std::fs::write(&job, format!("* * * * * root true | cat; touch {}\n", ran.display())).expect("the job's line");
    // Nothing of the machine's own crontabs, which are not the test's to run.
    let script = format!(
        "for place in /etc/cron.d /var/spool/cron/crontabs /run; do mount -t tmpfs none $place || exit 1; done; \
         mount --bind /dev/null /etc/crontab && cp {job} /etc/cron.d/job && exec {cron} -f"
    );
    let server = Server::start(&[&tini, "--", "/bin/sh", "-c", &script]);
    // It looks at its tables when the minute begins.
    server.gets("the job of the minute", Duration::from_secs(75), || ran.exists());
    server.was_clean();
    Ok(())
}
