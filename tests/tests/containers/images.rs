//! `init-check --image` gives of an image what running it shows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::runtime::{Images, StoredImage};
use zombie_trace_tests::{Skip, TestResult, binaries, process, require};

use super::zombies::ORPHAN;

pub(crate) fn of<R: Images>() -> Vec<Test> {
    vec![
        Test::new("tini_is_graded_as_it_runs", tini_is_graded_as_it_runs::<R>),
        Test::new("dumb_init_is_graded_as_it_runs", dumb_init_is_graded_as_it_runs::<R>),
        Test::new("a_shell_is_graded_as_it_runs", a_shell_is_graded_as_it_runs::<R>),
        Test::new("python_is_graded_as_it_runs", python_is_graded_as_it_runs::<R>),
        Test::new("node_is_graded_as_it_runs", node_is_graded_as_it_runs::<R>),
        Test::new("nginx_is_graded_as_it_runs", nginx_is_graded_as_it_runs::<R>),
        Test::new("an_image_that_nobody_has_is_no_pass", an_image_that_nobody_has_is_no_pass::<R>),
    ]
}

/// Grace of a stop, long for all that end by themselves.
const GRACE: Duration = Duration::from_secs(3);

/// Copies a program with its libraries, under the same paths.
fn put(files: &Path, program: &Path) {
    let libraries = Command::new("ldd").arg(program).output().expect("ldd can be started");
    let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
    for file in libraries.chain([program.to_owned()]) {
        let copy = files.join(file.strip_prefix("/").expect("it begins with a slash"));
        std::fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("the folder is ours");
        std::fs::copy(&file, copy).expect("there is room");
    }
}

/// The machine's own program, not one of a version manager.
fn packaged(name: &str) -> Result<PathBuf, Skip> {
    let candidates = ["/usr/bin", "/usr/sbin"].map(|folder| Path::new(folder).join(name));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| Skip::new(format!("no package has {name}")))
}

fn folder() -> TempDir {
    TempDir::new().expect("there is room for a folder")
}

/// Whether PID 1 reaps an orphan, and ends on its stop signal.
type Behaviour = (bool, bool);

/// As the container shows it.
fn run<R: Images>(runtime: &R, image: &StoredImage<'_, R>, container: &str) -> Behaviour {
    let pid = image.start(container);
    assert_eq!(runtime.exec(container, ORPHAN), 0);
    let waiting = || {
        let children = process::children(pid);
        children.into_iter().any(|child| {
            let is_dead = process::stat(child).is_some_and(|stat| stat.state == 'Z');
            is_dead || std::fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|line| line == b"sleep\x000.1\x00")
        })
    };
    // It sleeps for a while, and then is reaped or not; who reaps at all does so long before this.
    let reaps = process::eventually(GRACE, || !waiting());
    runtime.stop(container, GRACE);
    let killed = image.exit_code(container) == 137;
    runtime.remove(container);
    (reaps, !killed)
}

/// As `init-check` says it, of the image by its name.
fn grade<R: Images>(runtime: &R, name: &str) -> (Option<i32>, Value) {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(["init-check", "--image", name, "--grace", "3s", "--format", "json"]);
    command.args(["--only", "reaps-orphans,ends-within-grace"]).envs(runtime.environment());
    let output = command.output().expect("the tool can be started");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let grades = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}"));
    (output.status.code(), grades)
}

/// Both must be the same, and this.
fn compare<R: Images>(name: &str, files: &TempDir, instructions: &[&str], expected: Behaviour) -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let image = StoredImage::make(&*runtime, name, files.path(), instructions);
    let (code, grades) = grade(&*runtime, &image.name);
    let passed = |id: &str| {
        let check = grades["checks"].as_array().into_iter().flatten().find(|it| it["id"] == id);
        match check.and_then(|check| check["grade"].as_str()) {
            Some("pass") => true,
            Some("fail") => false,
            _ => panic!("{id} is not graded: {grades:#}"),
        }
    };
    let graded = (passed("reaps-orphans"), passed("ends-within-grace"));
    assert_eq!(run(&*runtime, &image, &format!("zt-graded-{name}")), graded, "{grades:#}");
    assert_eq!(graded, expected, "{grades:#}");
    assert_eq!(code, Some(if expected == (true, true) { 0 } else { 1 }), "{grades:#}");
    Ok(())
}

fn tini_is_graded_as_it_runs<R: Images>() -> TestResult {
    let files = folder();
    put(files.path(), &packaged("tini")?);
    let instructions = [r#"ENTRYPOINT ["/usr/bin/tini", "--"]"#, r#"CMD ["/bin/sleep", "600"]"#];
    compare::<R>("tini", &files, &instructions, (true, true))
}

fn dumb_init_is_graded_as_it_runs<R: Images>() -> TestResult {
    let files = folder();
    put(files.path(), &packaged("dumb-init")?);
    let instructions = [r#"ENTRYPOINT ["/usr/bin/dumb-init"]"#, r#"CMD ["/bin/sleep", "600"]"#];
    compare::<R>("dumb-init", &files, &instructions, (true, true))
}

fn a_shell_is_graded_as_it_runs<R: Images>() -> TestResult {
    // Its wait for the command takes whatever child ends.
    let instructions = [r#"CMD ["/bin/sh", "-c", "sleep 600; true"]"#];
    compare::<R>("shell", &folder(), &instructions, (true, false))
}

fn python_is_graded_as_it_runs<R: Images>() -> TestResult {
    let python = packaged("python3")?.canonicalize().expect("it is a file");
    let files = folder();
    put(files.path(), &python);
    let version = python.file_name().expect("it has a name").to_string_lossy().into_owned();
    let library = Path::new("/usr/lib").join(&version);
    let target = files.path().join("usr/lib");
    std::fs::create_dir_all(&target).expect("the folder is ours");
    let copied = Command::new("cp").arg("-a").arg(&library).arg(&target).status().expect("cp can be started");
    assert!(copied.success());
    let command = format!(r#"CMD ["{}", "-S", "-c", "import time; time.sleep(600)"]"#, python.display());
    compare::<R>("python", &files, &[&command], (false, false))?;
    // It has a handler for SIGINT.
    compare::<R>("python-int", &files, &[&command, "STOPSIGNAL SIGINT"], (false, true))
}

fn node_is_graded_as_it_runs<R: Images>() -> TestResult {
    let node = packaged("node")?;
    let files = folder();
    put(files.path(), &node);
    let instructions = [r#"CMD ["/usr/bin/node", "-e", "setInterval(() => {}, 1000)"]"#, "ENV A=b"];
    compare::<R>("node", &files, &instructions, (false, false))
}

fn nginx_is_graded_as_it_runs<R: Images>() -> TestResult {
    let nginx = packaged("nginx")?;
    let files = folder();
    put(files.path(), &nginx);
    for folder in ["var/log/nginx", "var/lib/nginx", "etc"] {
        std::fs::create_dir_all(files.path().join(folder)).expect("the folder is ours");
    }
    let passwd = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    std::fs::write(files.path().join("etc/passwd"), passwd).expect("the folder is ours");
    std::fs::write(files.path().join("etc/group"), "root:x:0:\nwww-data:x:33:\n").expect("the folder is ours");
    let config = "daemon off;\nuser root root;\npid /tmp/nginx.pid;\nerror_log /dev/stderr;\nevents {}\n";
    std::fs::write(files.path().join("etc/nginx.conf"), config).expect("the folder is ours");
    let command = format!(r#"CMD ["{}", "-c", "/etc/nginx.conf"]"#, nginx.display());
    compare::<R>("nginx", &files, &[&command, "STOPSIGNAL SIGQUIT"], (true, true))
}

fn an_image_that_nobody_has_is_no_pass<R: Images>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let mut command = Command::new(binaries::zombie_trace());
    command.args(["init-check", "--image", "zt-no-such-image:7"]).envs(runtime.environment());
    let output = command.output().expect("the tool can be started");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no image zt-no-such-image:7: docker: ") && said.contains("podman: "), "{said}");
    Ok(())
}
