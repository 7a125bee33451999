//! What a client of a container runtime asks for, by its command line.

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Whether containers may begin for it.
    pub(super) starts: bool,
    /// If they do, only such as are called so; empty if it gives no name.
    pub(super) new_names: Vec<String>,
    /// Containers that are there, which it acts on.
    pub(super) acts_on: Vec<String>,
    /// The Compose project that it acts on, if it names one; the inner `None` stands for that of the working directory.
    pub(super) project: Option<Option<String>>,
}

/// Words that begin containers.
const STARTING: [&str; 12] =
    ["run", "create", "play", "kube", "build", "buildx", "builder", "bake", "stack", "service", "apply", "deploy"];
/// Words that begin containers which are there already.
const RESTARTING: [&str; 2] = ["start", "restart"];
/// Words that act on containers.
const ACTING: [&str; 14] = [
    "stop", "kill", "exec", "rm", "remove", "delete", "attach", "pause", "unpause", "resume", "stopp", "rmp", "cp",
    "update",
];
/// Words of clients that neither begin nor end anything.
const READING: [&str; 36] = [
    "cleanup", "prune", "ps", "ls", "list", "images", "image", "pull", "push", "inspect", "logs", "log", "version",
    "info", "login", "logout", "search", "tag", "save", "load", "import", "export", "events", "stats", "top", "port",
    "diff", "history", "rmi", "network", "volume", "context", "wait", "get", "describe", "state",
];
/// What stands before one of the above, and says only of what.
const NOUNS: [&str; 9] = ["container", "containers", "task", "tasks", "c", "t", "pod", "pods", "compose"];
/// Options of these that are followed by a value which is no name of a container.
const WITH_VALUE: [&str; 18] = [
    "-t",
    "--time",
    "--timeout",
    "-s",
    "--signal",
    "-e",
    "--env",
    "--env-file",
    "-u",
    "--user",
    "-w",
    "--workdir",
    "--cwd",
    "--detach-keys",
    "--exec-id",
    "-n",
    "--namespace",
    "--grace-period",
];

impl Request {
    /// What this client asks for. Where that cannot be told, it may begin any container.
    pub(super) fn parse(client: &str, words: &[String]) -> Self {
        let mut rest = words.iter().map(String::as_str).skip(1);
        let mut is_compose = client.ends_with("-compose");
        let mut project = None;
        while let Some(word) = rest.next() {
            if word == "compose" {
                is_compose = true;
            } else if is_compose && (word == "-p" || word == "--project-name") {
                project = rest.next();
            } else if let Some(name) = word.strip_prefix("--project-name=") {
                project = Some(name);
            } else if NOUNS.contains(&word) {
                // `ctr task exec`, `kubectl` has them behind the word.
            } else if STARTING.contains(&word) || RESTARTING.contains(&word) || word == "up" || word == "down" {
                let words: Vec<&str> = rest.collect();
                return if is_compose { Self::of_compose(word, project) } else { Self::of_start(client, word, &words) };
            } else if ACTING.contains(&word) {
                let words: Vec<&str> = rest.collect();
                return if is_compose {
                    Self::of_compose(word, project)
                } else {
                    Self { acts_on: names(client, &words, word == "exec"), ..Self::default() }
                };
            } else if READING.contains(&word) {
                return Self::default();
            }
        }
        Self { starts: true, ..Self::default() }
    }

    /// Whose containers it begins is told by their project.
    fn of_compose(word: &str, project: Option<&str>) -> Self {
        let starts = ["up", "run", "create", "build"].contains(&word) || RESTARTING.contains(&word);
        Self { starts, project: Some(project.map(str::to_owned)), ..Self::default() }
    }

    fn of_start(client: &str, word: &str, words: &[&str]) -> Self {
        if RESTARTING.contains(&word) {
            let names = names(client, words, false);
            return Self { starts: true, new_names: names.clone(), acts_on: names, ..Self::default() };
        }
        let new_names = match client {
            // Who calls these chooses the id, somewhere behind the options.
            "ctr" | "runc" | "crun" => names(client, words, false),
            _ => given_name(words).into_iter().collect(),
        };
        Self { starts: true, new_names, ..Self::default() }
    }
}

/// `--name NAME`, among the options before the image.
fn given_name(words: &[&str]) -> Option<String> {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(name) = word.strip_prefix("--name=") {
            return Some(name.to_owned());
        }
        if *word == "--name" {
            return rest.next().map(|name| (*name).to_owned());
        }
    }
    None
}

/// The words that are no options, or the first of them.
fn names(client: &str, words: &[&str], only_first: bool) -> Vec<String> {
    // `kubectl delete pod web-0`
    let has_nouns = ["kubectl", "oc"].contains(&client);
    let mut names = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if WITH_VALUE.contains(word) {
            rest.next();
        } else if !(word.starts_with('-') || has_nouns && NOUNS.contains(word)) {
            let name = word.strip_prefix("pod/").unwrap_or(word);
            names.push(name.to_owned());
            if only_first {
                break;
            }
        }
    }
    names
}
