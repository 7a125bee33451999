//! Advice for specific programs and frameworks.
//!
//! It must not do harm: a wait for any child takes statuses from a program that waits by pid.

use crate::{model::Identity, text::escape};

/// Number of words of a command line that may name the program: an interpreter comes before it.
const WORDS: usize = 4;

/// Programs that are known by the script they run.
const INTERPRETERS: &[&str] = &["python", "ruby", "node", "nodejs", "perl", "php"];

/// Names, and advice for programs of these names.
const ADVICE: &[(&[&str], &str)] = &[
    (
        &["gunicorn"],
        "gunicorn reaps its own workers only: in the code that a worker runs, start programs with subprocess.run(), or \
         keep the Popen object and call wait() on it.",
    ),
    (
        &["celery"],
        "Celery reaps its own pool only: in the task that starts a program use subprocess.run(), or call wait() on its \
         Popen object in a `finally` block.",
    ),
    (
        &["uwsgi", "uwsgi-core"],
        "uWSGI reaps its own workers only: wait for each child by its pid in the code that starts it (subprocess.run(), \
         Popen.wait()).",
    ),
    (
        &["supervisord"],
        "supervisord reaps from its main loop: find out what keeps that from running, often an event listener or a log \
         file that blocks.",
    ),
    (
        &["ruby", "puma", "unicorn", "sidekiq", "rake"],
        "Call Process.wait(pid) or Process.detach(pid) after each spawn or fork; system() and backticks wait by \
         themselves.",
    ),
    (
        &["php", "php-fpm", "php-cgi"],
        "Call proc_close() for each proc_open() and pcntl_waitpid() with the pid of each pcntl_fork(); exec() and \
         shell_exec() wait by themselves.",
    ),
    (
        &["perl"],
        "Call waitpid($pid, 0) for each fork, and close() for each piped open. Do not set $SIG{CHLD} to 'IGNORE' where \
         system() or close() is to return a status.",
    ),
    (
        &["beam.smp", "erl_child_setup", "erlexec"],
        "The Erlang VM's erl_child_setup reaps what ports start: close each port, and let native code (a NIF or a port \
         driver) that forks wait for its own children.",
    ),
    (
        &["npm", "npm-cli.js", "yarn", "yarn.js", "pnpm", "pnpm.cjs", "npx", "npx-cli.js"],
        "npm and yarn wait only for the script that they run: start the program itself (`node server.js`), with an init \
         as PID 1.",
    ),
    (
        &["chrome", "chromium", "chromium-browser", "headless_shell", "chrome-headless-shell"],
        "A browser that is killed leaves its helpers behind: end it with browser.close(), and run an init as PID 1 that \
         adopts and reaps what remains.",
    ),
    (
        &["ssh"],
        "A master connection keeps the children of the session that started it: end it with `ssh -O exit HOST`, or use \
         ControlPersist only where something reaps.",
    ),
    (
        &["dwm", "bspwm", "sxhkd", "i3", "openbox", "xmonad", "awesome", "herbstluftwm", "spectrwm"],
        "Start programs by a double fork, or reap them in a SIGCHLD handler. Do not set SIGCHLD to SIG_IGN: the programs \
         inherit that and lose the statuses of their own children.",
    ),
];

/// Advice for a program of this name; `None` if there is none.
pub(super) fn advice(identity: &Identity) -> Option<&'static str> {
    let names = names(identity);
    let (_, advice) = ADVICE.iter().find(|(known, _)| names.iter().any(|name| known.contains(&name.as_str())))?;
    Some(advice)
}

/// Possible names of a program, its file first.
pub(super) fn names(identity: &Identity) -> Vec<String> {
    let comm = escape::comm(&identity.comm);
    // Only an interpreter is named by its arguments.
    let is_interpreter = identity.exe.as_deref().is_some_and(|exe| INTERPRETERS.contains(&base(exe)));
    let count = if is_interpreter { WORDS } else { 1 };
    let words = identity.cmdline.as_deref().unwrap_or_default().iter().take(count).map(String::as_str);
    identity.exe.as_deref().into_iter().chain(words).chain([comm.as_ref()]).map(|name| base(name).to_owned()).collect()
}

/// `/usr/bin/ruby3.1` is `ruby`, `gunicorn: master [app]` is `gunicorn`.
fn base(text: &str) -> &str {
    let text = text.strip_suffix(" (deleted)").unwrap_or(text);
    let name = text.split(':').next().unwrap_or(text).rsplit('/').next().unwrap_or(text);
    let plain = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == '-');
    // The window manager i3 has a digit in its name.
    if plain.len() < 2 { name } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(exe: Option<&str>, words: &[&str]) -> Option<&'static str> {
        let cmdline = words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        advice(&Identity { exe: exe.map(Into::into), cmdline: Some(cmdline.into()), ..Identity::default() })
    }

    #[test]
    fn a_program_is_known_by_its_file_or_by_the_words_of_its_command_line() {
        for (exe, words, word) in [
            ("/usr/bin/python3.11", &["/usr/bin/python3", "/usr/bin/gunicorn", "app"][..], "gunicorn"),
            ("/usr/bin/python3.11", &["python3", "-m", "celery", "worker"], "Celery"),
            ("/usr/bin/ruby3.1", &["puma 6.4 (tcp://0.0.0.0:80)"], "Process.detach"),
            ("/usr/sbin/php-fpm8.2", &["php-fpm: pool www"], "proc_close"),
            ("/usr/bin/node", &["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "start"], "npm"),
            ("/usr/bin/i3", &["i3"], "SIG_IGN"),
        ] {
            assert!(told(Some(exe), words).is_some_and(|advice| advice.contains(word)), "{words:?}");
        }
        assert_eq!(told(Some("/usr/bin/app"), &["app", "--with", "a", "file", "celery"]), None);
        assert_eq!(told(Some("/usr/bin/rsync"), &["rsync", "-e", "ssh"]), None, "an argument is no program");
        assert_eq!(told(None, &[]), None);
    }

    #[test]
    fn no_program_is_told_to_wait_for_any_child() {
        assert!(ADVICE.iter().all(|(_, advice)| !advice.contains("waitpid(-1")));
    }
}
