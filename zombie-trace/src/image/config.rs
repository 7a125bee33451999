//! What an image runs, and what `docker run` may override of it.

use serde::Deserialize;

use super::{
    ImageError, foreign,
    manifest::{self, Digest},
};

/// Where Docker puts the init of `--init`.
pub const INIT: &str = "/sbin/docker-init";

/// What the user says instead of the image.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The program; empty for none at all. The image's own arguments then go, too.
    pub entrypoint: Option<String>,
    /// The arguments; empty for those of the image.
    pub arguments: Vec<String>,
    /// Variables, in addition.
    pub environment: Vec<(String, String)>,
    /// The user and group, by name or number.
    pub user: Option<String>,
    /// The working directory.
    pub workdir: Option<String>,
    /// Under an init.
    pub init: bool,
}

/// How the image is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The command, at least one word.
    pub command: Vec<String>,
    /// The part of it that is the entrypoint; the rest are arguments.
    pub entrypoint: Vec<String>,
    /// Variables, the later ones last.
    pub environment: Vec<(String, String)>,
    /// The user and group, by name or number; empty for root.
    pub user: String,
    /// The working directory.
    pub workdir: String,
    /// The image's own stop signal, as it is written.
    pub stop_signal: Option<String>,
    /// An init is to be put in front.
    pub init: bool,
}

/// The document that describes an image.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    config: Option<Settings>,
    rootfs: Option<Rootfs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Bytes of a command or an environment that may be handed on to a process.
const MAX_WORDS: usize = 64 << 10;

impl Config {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        manifest::parse(bytes, "the image's configuration")
    }

    /// Programs for another processor do not run here.
    pub(super) fn check_platform(&self) -> Result<(), ImageError> {
        let fits = |found: &str, own: &str| found.is_empty() || found == own;
        if fits(&self.os, "linux") && fits(&self.architecture, manifest::architecture()) {
            return Ok(());
        }
        let platform = foreign(format!("{}/{}", self.os, self.architecture).as_bytes());
        let own = manifest::architecture();
        Err(ImageError::invalid(format!("the image is for {platform}, and this machine is linux/{own}")))
    }

    /// The digests of its layers, unpacked.
    pub(super) fn diff_ids(&self, layers: usize) -> Result<Vec<Digest>, ImageError> {
        let ids = self.rootfs.as_ref().map_or(&[][..], |rootfs| &rootfs.diff_ids);
        if ids.len() != layers {
            return Err(ImageError::invalid(format!(
                "the image has {layers} layers, and {} digests of them",
                ids.len()
            )));
        }
        ids.iter().map(|id| Digest::parse(id)).collect()
    }

    /// How it is run with these overrides.
    pub(super) fn run(&self, overrides: &Overrides) -> Result<Run, ImageError> {
        let none = Settings::default();
        let own = self.config.as_ref().unwrap_or(&none);
        let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        // As Docker does: another entrypoint has no use for the image's arguments.
        let (entrypoint, defaults) = match &overrides.entrypoint {
            None => (list(&own.entrypoint), list(&own.cmd)),
            Some(program) if program.is_empty() => (Vec::new(), Vec::new()),
            Some(program) => (vec![program.clone()], Vec::new()),
        };
        let arguments = if overrides.arguments.is_empty() { defaults } else { overrides.arguments.clone() };
        let mut command = [entrypoint.clone(), arguments].concat();
        if command.first().is_none_or(String::is_empty) {
            return Err(ImageError::invalid("the image has no command: write one behind --, or use --entrypoint"));
        }
        if overrides.init {
            command.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
        }
        let mut environment: Vec<(String, String)> = Vec::new();
        for variable in list(&own.env) {
            let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
            if !name.is_empty() {
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        environment.extend(overrides.environment.iter().cloned());
        let text = |overriding: &Option<String>, own: &Option<String>| {
            overriding.clone().or_else(|| own.clone()).unwrap_or_default()
        };
        let workdir = text(&overrides.workdir, &own.working_dir);
        let workdir = if workdir.is_empty() { "/".to_owned() } else { workdir };
        if !workdir.starts_with('/') {
            return Err(ImageError::invalid(format!(
                "the working directory {} is not absolute",
                foreign(workdir.as_bytes())
            )));
        }
        let run = Run {
            command,
            entrypoint,
            environment,
            user: text(&overrides.user, &own.user),
            workdir,
            stop_signal: own.stop_signal.clone().filter(|signal| !signal.is_empty()),
            init: overrides.init,
        };
        run.check()?;
        Ok(run)
    }
}

impl Run {
    /// What no process can be given is refused here, with a reason.
    fn check(&self) -> Result<(), ImageError> {
        let variables = self.environment.iter().flat_map(|(name, value)| [name, value]);
        let words = || self.command.iter().chain(variables.clone()).chain([&self.workdir]);
        if words().any(|word| word.contains('\0')) {
            return Err(ImageError::invalid("the image's command or environment has a zero byte in it"));
        }
        if words().map(|word| word.len() + 1).sum::<usize>() > MAX_WORDS {
            return Err(ImageError::TooLarge(format!("its command and environment have more than {MAX_WORDS} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(settings: &Value, overrides: &Overrides) -> Result<Run, String> {
        let document = json!({"config": settings}).to_string();
        Config::parse(document.as_bytes()).unwrap().run(overrides).map_err(|error| error.to_string())
    }

    fn command(settings: &Value, overrides: &Overrides) -> String {
        run(settings, overrides).unwrap().command.join(" ")
    }

    #[test]
    fn the_command_is_what_docker_run_would_start() {
        let image = json!({"Entrypoint": ["tini", "--"], "Cmd": ["server"], "StopSignal": "SIGQUIT"});
        let with = |entrypoint: Option<&str>, arguments: &[&str], init| Overrides {
            entrypoint: entrypoint.map(str::to_owned),
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
            init,
            ..Overrides::default()
        };
        assert_eq!(command(&image, &with(None, &[], false)), "tini -- server");
        assert_eq!(command(&image, &with(None, &["other", "-x"], false)), "tini -- other -x");
        assert_eq!(command(&image, &with(Some("sh"), &[], false)), "sh");
        assert_eq!(command(&image, &with(Some(""), &["true"], false)), "true");
        assert_eq!(command(&image, &with(None, &[], true)), "/sbin/docker-init -- tini -- server");
        assert!(run(&image, &with(Some(""), &[], false)).unwrap_err().contains("no command"));
        assert!(run(&json!({}), &with(None, &[], false)).unwrap_err().contains("no command"));
        assert_eq!(run(&image, &with(None, &[], false)).unwrap().stop_signal.as_deref(), Some("SIGQUIT"));
    }

    #[test]
    fn the_rest_is_overridden_as_well() {
        let image = json!({"Cmd": ["a"], "Env": ["A=1=1", "B=2", "=x", "C"], "User": "web", "WorkingDir": "/app"});
        let plain = run(&image, &Overrides::default()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(plain.environment, [pair("A", "1=1"), pair("B", "2"), pair("C", "")]);
        assert_eq!((plain.user.as_str(), plain.workdir.as_str()), ("web", "/app"));
        let overrides = Overrides {
            environment: vec![pair("B", "3")],
            user: Some("0".to_owned()),
            workdir: Some("/tmp".to_owned()),
            ..Overrides::default()
        };
        let other = run(&image, &overrides).unwrap();
        assert_eq!(other.environment.last(), Some(&pair("B", "3")));
        assert_eq!((other.user.as_str(), other.workdir.as_str()), ("0", "/tmp"));
    }

    #[test]
    fn what_no_process_can_be_given_is_refused() {
        let long = "x".repeat(MAX_WORDS);
        for image in [
            json!({"Cmd": ["a\u{0}b"]}),
            json!({"Cmd": ["a", long]}),
            json!({"Cmd": ["a"], "Env": [format!("A={long}")]}),
            json!({"Cmd": ["a"], "WorkingDir": "relative"}),
            json!({"Cmd": [""]}),
        ] {
            assert!(run(&image, &Overrides::default()).is_err());
        }
    }

    #[test]
    fn an_image_for_another_machine_is_refused() {
        let config = |architecture: &str| {
            let text = json!({"os": "linux", "architecture": architecture}).to_string();
            Config::parse(text.as_bytes()).unwrap().check_platform()
        };
        assert!(config(manifest::architecture()).is_ok());
        assert!(config("s390x").unwrap_err().to_string().contains("linux/s390x"));
    }
}
