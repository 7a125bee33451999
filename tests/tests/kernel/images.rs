//! `init-check --image` over archives and layouts, without any daemon.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, clock, process, require, tests};

use crate::{
    checking::{REQUIRED, json, run, text},
    grading::unpacked_image,
};

pub(crate) fn all() -> Vec<Test> {
    tests![
        an_image_is_graded_as_docker_run_would_start_it,
        what_is_overridden_is_run_instead,
        an_init_in_front_mends_a_program_that_is_none,
        what_failed_is_pointed_at_in_the_users_file,
        an_image_that_is_not_whole_is_no_pass,
        nothing_is_left_of_an_image_when_the_tool_is_ended,
    ]
}

/// A layout of an image, and the folder that all its files are in.
struct Image {
    folder: TempDir,
}

fn shell(line: &str, folder: &Path) -> String {
    let output = Command::new("sh").args(["-ec", line]).current_dir(folder).output().expect("sh can be started");
    assert!(output.status.success(), "{line}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Image {
    /// tini and busybox, with these settings and this entrypoint as `/entry`.
    fn make(settings: &Value, entry: &str) -> Result<Self, Skip> {
        let files = unpacked_image()?;
        let root = files.path();
        std::fs::create_dir_all(root.join("etc")).expect("the folder is ours");
        let accounts = [("etc/passwd", "app:x:1234:4321::/home/app:\n"), ("etc/group", "app:x:4321:\nlog:x:77:app\n")];
        for (path, content) in accounts {
            std::fs::write(root.join(path), content).expect("the folder is ours");
        }
        std::fs::write(root.join("entry"), format!("#!/bin/sh\n{entry}\n")).expect("the folder is ours");
        std::fs::set_permissions(root.join("entry"), PermissionsExt::from_mode(0o755)).expect("it is ours");
        std::os::unix::fs::symlink("busybox", root.join("bin/cat")).expect("the folder is ours");
        let folder = TempDir::new().expect("there is room for a folder");
        let image = Self { folder };
        shell("mkdir -p layout/blobs/sha256", image.folder.path());
        let layer = format!("tar -C {} -cf - . | gzip -1 >new; gzip -dc <new | sha256sum", root.display());
        let diff = shell(&layer, image.folder.path());
        let diff = diff.split_whitespace().next().expect("sha256sum prints the sum first").to_owned();
        let layer = image.store();
        let config = json!({"config": settings, "rootfs": {"diff_ids": [format!("sha256:{diff}")]}});
        let config = image.blob(&config);
        let manifest = image.blob(&json!({"config": config, "layers": [layer]}));
        let index = json!({"manifests": [manifest]}).to_string();
        std::fs::write(image.folder.path().join("layout/index.json"), index).expect("the folder is ours");
        Ok(image)
    }

    fn blob(&self, document: &Value) -> Value {
        std::fs::write(self.folder.path().join("new"), document.to_string()).expect("the folder is ours");
        self.store()
    }

    /// Stores the new file under its digest.
    fn store(&self) -> Value {
        let new = self.folder.path().join("new");
        let size = std::fs::metadata(&new).expect("it is there").len();
        let digest = shell("sha256sum new", self.folder.path());
        let digest = digest.split_whitespace().next().expect("sha256sum prints the sum first");
        std::fs::rename(new, self.layout().join("blobs/sha256").join(digest)).expect("the folder is ours");
        json!({"digest": format!("sha256:{digest}"), "size": size})
    }

    fn layout(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    /// The grades, by the path of the layout.
    fn grade(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        grade(&self.layout(), arguments)
    }
}

fn grade(image: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let path = image.to_string_lossy();
    let common = ["init-check", "--image", &path, "--grace", "2s", "--format", "json", "--only", REQUIRED];
    let output = run(&[&common[..], arguments].concat());
    (output.status.code(), json(&output))
}

/// The script ends by itself, and so is not graded, unless all is as the image says.
const LOOK: &str = "[ \"$(id -u):$(id -g):$(id -G)\" = '1234:4321:4321 77' ] && [ \"$(pwd)\" = /srv/app ] || exit 8
[ \"$A:$HOME:$#:$1\" = 'b:/home/app:2:one two' ] && [ -e /etc/hosts ] || exit 9
exec /bin/tini -- sleep 1000";

fn an_image_is_graded_as_docker_run_would_start_it() -> TestResult {
    require::tracing()?;
    let settings = json!({
        "Entrypoint": ["/entry"], "Cmd": ["one two", "three"], "Env": ["A=b", "PATH=/bin"], "User": "app",
        "WorkingDir": "/srv/app", "StopSignal": "SIGINT",
    });
    let image = Image::make(&settings, LOOK)?;
    let (code, grades) = image.grade(&[]);
    assert_eq!(code, Some(0), "{grades:#}");
    assert_eq!(grades["image"]["user"], "1234:4321", "{grades:#}");
    assert_eq!(grades["image"]["stop_signal"], "SIGINT", "{grades:#}");
    assert_eq!(grades["fixes"], json!([]), "{grades:#}");
    // The same as an archive, as it is and compressed.
    let archive = image.folder.path().join("archive");
    shell("tar -C layout -cf archive . && gzip -1 <archive >archive.tgz", image.folder.path());
    for path in [archive.clone(), archive.with_extension("tgz")] {
        let (code, grades) = grade(&path, &[]);
        assert_eq!(code, Some(0), "{grades:#}");
    }
    Ok(())
}

fn what_is_overridden_is_run_instead() -> TestResult {
    require::tracing()?;
    let settings =
        json!({"Entrypoint": ["/bin/test"], "Cmd": ["x", "=", "y"], "Env": ["PATH=/bin"], "StopSignal": "SIGWINCH"});
    let image = Image::make(&settings, LOOK)?;
    let (code, grades) = image.grade(&[]);
    assert_eq!(code, Some(3), "what ends at once is not graded: {grades:#}");
    let overrides = ["--entrypoint", "/entry", "--user", "app", "--workdir", "/srv/app", "--env", "A=b"];
    let rest = ["--stop-signal", "TERM", "--", "one two", "three"];
    let (code, grades) = image.grade(&[&overrides[..], &rest].concat());
    assert_eq!(code, Some(0), "{grades:#}");
    Ok(())
}

fn an_init_in_front_mends_a_program_that_is_none() -> TestResult {
    require::tracing()?;
    require::program("tini-static")?;
    let image = Image::make(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}), "")?;
    let (code, grades) = image.grade(&[]);
    assert_eq!(code, Some(1), "{grades:#}");
    let fix = &grades["fixes"][0];
    assert_eq!((&fix["dockerfile"], &fix["compose"]), (&json!(r#"ENTRYPOINT ["tini", "--"]"#), &json!("init: true")));
    let (code, grades) = image.grade(&["--init"]);
    assert_eq!(code, Some(0), "{grades:#}");
    // And what was proposed helps.
    let (code, grades) = image.grade(&["--entrypoint", "tini", "--", "--", "sleep", "1000"]);
    assert_eq!(code, Some(0), "{grades:#}");
    Ok(())
}

fn what_failed_is_pointed_at_in_the_users_file() -> TestResult {
    require::tracing()?;
    let image = Image::make(&json!({"Cmd": ["sleep", "1000"], "Env": ["PATH=/bin"]}), "")?;
    let folder = image.folder.path();
    std::fs::write(folder.join("Dockerfile"), "FROM busybox\n# more\nCMD [\"sleep\", \"1000\"]\n").expect("it is ours");
    let mut command = Command::new(binaries::zombie_trace());
    command.args(["init-check", "--image", "./layout", "--grace", "1s", "--only", REQUIRED, "--github"]);
    let output = command.args(["--file", "Dockerfile", "--sarif", "out.sarif"]).current_dir(folder).output();
    let output = output.expect("the tool can be started");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Dockerfile:3  ENTRYPOINT [\"tini\", \"--\"]"), "{said}");
    assert!(said.contains("::error file=Dockerfile,line=3,title=zombie-trace%3A reaps-orphans::"), "{said}");
    let sarif = std::fs::read_to_string(folder.join("out.sarif")).expect("it was written");
    let sarif: Value = serde_json::from_str(&sarif).expect("it is JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("there are results");
    assert!(results.iter().any(|it| it["ruleId"] == "reaps-orphans"), "{sarif:#}");
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "Dockerfile", "{sarif:#}");
        assert_eq!(place["region"]["startLine"], 3, "{sarif:#}");
    }
    Ok(())
}

fn an_image_that_is_not_whole_is_no_pass() -> TestResult {
    require::tracing()?;
    let image = Image::make(&json!({"Entrypoint": ["/bin/tini", "--"], "Cmd": ["sleep", "1000"]}), "")?;
    let path = image.layout().to_string_lossy().into_owned();
    let layers = shell("ls -S layout/blobs/sha256", image.folder.path());
    let layer = image.layout().join("blobs/sha256").join(layers.lines().next().expect("there are blobs"));
    let mut bytes = std::fs::read(&layer).expect("it is ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for content in [bytes, Vec::new()] {
        std::fs::write(&layer, content).expect("it is ours");
        let output = run(&["init-check", "--image", &path]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("the image cannot be used"));
    }
    Ok(())
}

fn folders(of: &Path) -> usize {
    let names = std::fs::read_dir(of).expect("it is ours").flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with("zombie-trace-image-")).count()
}

fn nothing_is_left_of_an_image_when_the_tool_is_ended() -> TestResult {
    require::tracing()?;
    let image = Image::make(&json!({"Entrypoint": ["/bin/tini", "--"], "Cmd": ["sleep", "1000"]}), "")?;
    let scratch = image.folder.path().join("scratch");
    std::fs::create_dir(&scratch).expect("the folder is ours");
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let mut command = Command::new(binaries::zombie_trace());
        command.args(["init-check", "--image"]).arg(image.layout()).env("TMPDIR", &scratch).process_group(0);
        let mut tool = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the tool can be started");
        assert!(process::eventually(clock::deadline(), || folders(&scratch) == 1), "it unpacks the image");
        let pid = i32::try_from(tool.id()).expect("pids are positive");
        // The whole group, as a terminal or a CI system does.
        // SAFETY: a system call on numbers.
        assert_eq!(unsafe { libc::kill(-pid, signal) }, 0);
        tool.wait().expect("it ends");
        assert!(process::eventually(clock::deadline(), || folders(&scratch) == 0), "signal {signal} leaves a folder");
    }
    Ok(())
}
