//! Which containers are a command's.

use super::{
    Chosen, Following, How, decide,
    facts::{Client, Init, Seen},
    request::Request,
};
use crate::{
    container::{Compose, Container, Runtime, Selector},
    event::{BootNs, Cgroup, Event, ExitStatus, Fact, ProcessKey, What},
    model::{Config, Model},
};

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn request(line: &str) -> Request {
    let words = words(line);
    Request::parse(&words[0], &words)
}

#[test]
fn a_client_asks_for_what_its_words_say() {
    for (line, acts_on) in [
        ("docker stop -t 2 pod", &["pod"][..]),
        ("docker --host unix:///run/d.sock container stop --time 100 a b", &["a", "b"]),
        ("docker exec -it -u root -e stop=1 web sh -c true", &["web"]),
        ("podman --storage-driver vfs kill --signal TERM web", &["web"]),
        ("ctr --address /run/c.sock --namespace zt tasks kill --signal SIGTERM k1", &["k1"]),
        ("ctr tasks exec --exec-id 3 k1 sh", &["k1"]),
        ("runc kill r1 TERM", &["r1", "TERM"]),
        ("crictl stopp 3f2a", &["3f2a"]),
        ("kubectl -n shop exec pod/web-0 -- sh", &["web-0"]),
        ("kubectl delete pod web-0", &["web-0"]),
    ] {
        let request = request(line);
        assert_eq!((request.starts, request.acts_on), (false, words_of(acts_on)), "{line}");
    }
    for (line, names) in [
        ("docker run --rm --name web app", &["web"][..]),
        ("docker run --name=web app", &["web"]),
        ("docker run app stop web", &[]),
        ("docker restart web", &["web"]),
        ("ctr run --snapshotter native app:1 k1 sleep 1", &["native", "app:1", "k1", "sleep", "1"]),
        ("docker build .", &[]),
        ("docker buildx bake", &[]),
        ("docker", &[]),
        ("docker frobnicate web", &[]),
    ] {
        let request = request(line);
        assert_eq!((request.starts, request.new_names), (true, words_of(names)), "{line}");
    }
    for line in [
        "docker ps",
        "podman container cleanup --rm 3f2a",
        "docker --context x logs -f web",
        "kubectl get pods",
        "docker version",
        "podman image ls",
    ] {
        assert_eq!(request(line), Request::default(), "{line}");
    }
    for (line, starts, project) in [
        ("docker compose up -d", true, None),
        ("docker compose -p shop down", false, Some("shop")),
        ("docker-compose --project-name=shop run --rm web", true, Some("shop")),
        ("docker compose stop web", false, None),
    ] {
        let request = request(line);
        assert_eq!((request.starts, request.project), (starts, Some(project.map(str::to_owned))), "{line}");
        assert_eq!((request.acts_on, request.new_names), (vec![], vec![]), "{line}");
    }
}

fn words_of(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

const COMMAND: BootNs = 1_000;

/// A machine with clients and containers.
struct Scene {
    following: Following,
    model: Model,
    next: u32,
}

impl Scene {
    fn new(chosen: Chosen) -> Self {
        let model = Model::new(Config { command: Some(1), ..Config::default() });
        Self { following: Following::amid_machine(chosen, COMMAND, Some("shop".to_owned())), model, next: 10 }
    }

    fn key(&mut self, start_ns: BootNs) -> ProcessKey {
        self.next += 1;
        ProcessKey { pid: self.next, start_ns }
    }

    /// A client that runs from then to then.
    fn client(&mut self, descends: bool, line: &str, began: BootNs, ended: BootNs) -> &mut Self {
        let key = self.key(began);
        let request = Some(request(line));
        let name = crate::report::clients::of_containers(&words(line)[0]).unwrap();
        let client = Client { name, descends, began, ended: Some(ended), request };
        self.following.clients.insert(key, client);
        self
    }

    /// A container with this name whose first process began then.
    fn container(&mut self, name: &str, began: BootNs) -> &mut Self {
        let container = Container { name: Some(name.to_owned()), ..Container::new(Runtime::Docker, name.repeat(9)) };
        self.holds(container, began, false)
    }

    fn holds(&mut self, container: Container, began: BootNs, descends: bool) -> &mut Self {
        let key = self.key(began);
        let id = u64::from(key.pid);
        let cgroup = Cgroup::new(id, format!("/docker/{}", container.id), Some(container));
        self.model.apply(&Event { time: began, what: What::Fact(Fact::Cgroup(cgroup)) });
        let init = Init { key, is_pid_1: true, descends, pid_ns: key.pid, exit: None };
        self.following.cgroups.insert(id, Seen { preexisting: began < COMMAND, init: Some(init) });
        self
    }

    /// What is followed, and how; and what is unclear, and what unclaimed.
    fn decided(&self) -> (Vec<(String, How)>, Vec<String>, Vec<String>) {
        let decided = decide(&self.following, &self.model);
        let name = |group: &super::Group| {
            let container = group.container.as_ref();
            container.and_then(|it| it.name.clone()).unwrap_or_else(|| "?".to_owned())
        };
        let followed = decided.groups.iter().map(|(group, how)| (name(group), *how)).collect();
        let names = |groups: &[super::Group]| groups.iter().map(name).collect();
        (followed, names(&decided.unclear), names(&decided.unclaimed))
    }

    #[track_caller]
    fn follows(&self, want: &[(&str, How)]) {
        let want = want.iter().map(|&(name, how)| (name.to_owned(), how)).collect();
        assert_eq!(self.decided(), (want, vec![], vec![]), "{:?}", self.following);
    }
}

#[test]
fn a_container_that_begins_while_only_the_commands_client_runs_is_its_own() {
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "docker run app", 2_000, 3_000).container("old", 500).container("mine", 2_500);
    scene.client(false, "docker ps", 2_000, 3_000).client(false, "podman run app", 2_000, 3_000);
    scene.follows(&[("mine", How::BeganMeanwhile)]);
    scene.client(false, "docker run app", 2_600, 3_000);
    scene.follows(&[("mine", How::BeganMeanwhile)]);
}

#[test]
fn two_clients_at_a_time_are_told_apart_by_names_or_not_at_all() {
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "docker run --name mine app", 2_000, 3_000);
    scene.client(false, "docker run --name theirs app", 2_000, 3_000);
    scene.container("mine", 2_500).container("theirs", 2_500);
    scene.follows(&[("mine", How::Named)]);
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "docker run app", 2_000, 3_000).client(false, "docker run app", 2_000, 3_000);
    scene.container("somebodys", 2_500);
    assert_eq!(scene.decided(), (vec![], vec!["somebodys".to_owned()], vec![]));
}

#[test]
fn what_a_client_names_is_followed_however_old_and_nothing_else() {
    let mut scene = Scene::new(Chosen::Own);
    scene.container("pod", 500).container("other", 500).client(true, "docker stop -t 2 pod", 2_000, 3_000);
    scene.follows(&[("pod", How::Named)]);
    // An image of the same name is no container.
    let mut scene = Scene::new(Chosen::Own);
    scene.container("app", 500).client(true, "docker run --rm app", 2_000, 3_000);
    scene.follows(&[]);
    // Nor is one meant that begins when the client has ended.
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "docker rm -f web", 2_000, 3_000).container("web", 4_000);
    assert_eq!(scene.decided(), (vec![], vec![], vec!["web".to_owned()]));
}

#[test]
fn what_podman_starts_descends_from_it_and_the_rest_is_not_its_own() {
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "podman run app", 2_000, 3_000);
    let theirs = Container { name: Some("theirs".to_owned()), ..Container::new(Runtime::Podman, "c".repeat(64)) };
    scene.holds(theirs, 2_500, false).client(false, "podman run app", 2_000, 3_000);
    scene.follows(&[]);
}

#[test]
fn a_compose_project_is_followed_whole_and_another_is_not() {
    let of = |project: &str, service: &str| {
        let compose = Box::new(Compose { project: project.to_owned(), service: service.to_owned() });
        let name = format!("{project}-{service}");
        let container = Container::new(Runtime::Docker, name.repeat(5));
        Container { name: Some(name), compose: Some(compose), ..container }
    };
    let mut scene = Scene::new(Chosen::Own);
    scene.holds(of("shop", "web"), 500, false).holds(of("shop", "db"), 500, false).holds(
        of("other", "web"),
        500,
        false,
    );
    scene.client(true, "docker-compose compose down", 2_000, 3_000);
    scene.follows(&[("shop-web", How::Named), ("shop-db", How::Named)]);
}

#[test]
fn what_descends_is_followed_whatever_was_asked() {
    for chosen in [Chosen::Own, Chosen::Named(vec![Selector::parse("x").unwrap()])] {
        let mut scene = Scene::new(chosen);
        scene.holds(
            Container { name: Some("p".to_owned()), ..Container::new(Runtime::Podman, "c".repeat(64)) },
            2_000,
            true,
        );
        scene.follows(&[("p", How::Descends)]);
    }
}

#[test]
fn a_person_may_choose_others() {
    let of = |chosen| {
        let mut scene = Scene::new(chosen);
        scene.container("old", 500).container("new", 2_000);
        decide(&scene.following, &scene.model)
    };
    assert_eq!(of(Chosen::All).groups.len(), 2);
    assert_eq!(of(Chosen::New).groups.len(), 1);
    let named = of(Chosen::Named(vec![Selector::parse("old").unwrap(), Selector::parse("typo").unwrap()]));
    assert_eq!((named.groups.len(), named.missing.len()), (1, 1));
    let own = of(Chosen::Own);
    assert_eq!((own.groups.len(), own.unclaimed.len()), (0, 1));
}

#[test]
fn a_container_that_was_gone_before_it_could_be_named_is_followed_without_a_name() {
    let mut scene = Scene::new(Chosen::Own);
    scene.client(true, "docker run app", 2_000, 3_000);
    let key = scene.key(2_500);
    let exit = Some((2_600, ExitStatus::Code(0)));
    let init = Init { key, is_pid_1: true, descends: false, pid_ns: 7, exit };
    scene.following.cgroups.insert(99, Seen { preexisting: false, init: Some(init) });
    scene.follows(&[("?", How::BeganMeanwhile)]);
}
