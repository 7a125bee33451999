//! Units of a real systemd that run in a pid namespace, stopped by `systemctl stop`.
//!
//! The manager is one of a user, which needs not be PID 1, with a `/run` of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use zombie_trace_tests::cgroup::Subtree;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, require, tests};

use super::tracer;

pub(crate) fn all() -> Vec<Test> {
    tests![a_unit_with_a_pid_namespace_is_stopped_gracefully, a_unit_that_drops_its_stop_signal_is_told]
}

const MANAGER: &str = "/lib/systemd/systemd";

/// Its arguments: a folder with the unit `app` in `.config/systemd/user`, the manager, the name of the unit's PID 1, whether
/// that makes the file `ready`, and where the script writes its pid: the manager moves all of its cgroup to one below. Says
/// the pid of PID 1 once it is ready.
const SCRIPT: &str = r#"
for file in "${@:5}"; do echo $$ >"$file" || exit 2; done
mount -t tmpfs run /run && mkdir -p /run/systemd/system /run/user || exit 2
export HOME="$1" XDG_RUNTIME_DIR=/run/user
"$2" --user --unit=basic.target >"$1/log" 2>&1 &
manager=$!
until [ -S /run/user/systemd/private ]; do
    kill -0 $manager || { cat "$1/log"; exit 2; }
    [ $SECONDS -lt 120 ] || { echo "the manager does not get ready"; kill $manager; exit 2; }
    sleep 0.05
done
systemctl --user start app || { systemctl --user exit; exit 2; }
main=$(systemctl --user show --property MainPID --value app)
until init=$(cat /proc/$main/task/$main/children) && [ "$(cat /proc/${init%% *}/comm)" = "$3" ] && { [ -z "$4" ] || [ -e "$1/ready" ]; }; do
    [ $SECONDS -lt 240 ] || { systemctl --user status app; systemctl --user exit; exit 2; }
    sleep 0.05
done
echo init ${init%% *}
systemctl --user stop app
systemctl --user exit
wait $manager
"#;

/// Starts and stops a unit with this command in a pid namespace; gives the one stop of its PID 1, of this name.
fn stopped(command: &str, name: &str, says_ready: bool) -> Result<serde_json::Value, zombie_trace_tests::Skip> {
    require::file(MANAGER)?;
    for program in ["systemctl", "unshare", "bash"] {
        require::program(program)?;
    }
    let home = TempDir::new().expect("there is room");
    let units = home.path().join(".config/systemd/user");
    std::fs::create_dir_all(&units).expect("the folder is ours");
    let ready = home.path().join("ready");
    let command = command.replace("READY", &ready.to_string_lossy());
    let unit = format!("[Service]\nExecStart=unshare --pid --fork {command}\nTimeoutStopSec=3\n");
    std::fs::write(units.join("app.service"), unit).expect("the folder is ours");
    let cgroups = Subtree::new(&format!("zt-test-units-{}-{name}", std::process::id()))?;
    let tracer = tracer();
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", SCRIPT, "bash"])
        .args([home.path(), Path::new(MANAGER), Path::new(name)])
        .arg(if says_ready { "ready" } else { "" })
        .args(cgroups.procs_files())
        .stdin(Stdio::null())
        .output()
        .expect("unshare can be started");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let init: i32 = said
        .lines()
        .find_map(|line| line.strip_prefix("init ")?.parse().ok())
        .unwrap_or_else(|| panic!("there is no PID 1: {said}"));
    tracer.fence();
    let finished = tracer.stop();
    let stops: Vec<_> = finished.list("/stops").filter(|stop| stop["target"]["pid"] == init).cloned().collect();
    let [stop] = &stops[..] else { panic!("not one stop of {init}: {stops:?}") };
    Ok(stop.clone())
}

fn a_unit_with_a_pid_namespace_is_stopped_gracefully() -> TestResult {
    require::tracing()?;
    require::program("tini")?;
    require::program("python3")?;
    let server = "tini -- python3 -c \"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); \
                  open('READY', 'w').close(); [time.sleep(0.1) for _ in iter(int, 1)]\"";
    let stop = stopped(server, "tini", true)?;
    assert_eq!((&stop["outcome"], &stop["cause"]), (&"clean".into(), &serde_json::Value::Null), "{stop:#}");
    assert_eq!(stop["sender"]["comm"], "systemd", "{stop:#}");
    Ok(())
}

fn a_unit_that_drops_its_stop_signal_is_told() -> TestResult {
    require::tracing()?;
    let stop = stopped("sleep 1000", "sleep", false)?;
    assert_eq!((&stop["outcome"], &stop["cause"]), (&"failed".into(), &"no-handler".into()), "{stop:#}");
    for sender in ["sender", "killed_by"] {
        assert_eq!(stop[sender]["comm"], "systemd", "{stop:#}");
    }
    Ok(())
}
