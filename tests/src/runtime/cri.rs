//! containerd through the container runtime interface, as the kubelet uses it: pods with containers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use super::containerd::{self, Containerd, SOCKET};
use super::{Launched, Runtime, Shared, image, sandbox};
use crate::{Skip, clock};

pub(super) static SHARED: Shared<Cri> = Shared::new();
pub(super) static SHARED_PID: Shared<CriShared> = Shared::new();

const NAMESPACE: &str = "zt-tests";

/// A pod for each container, with pid namespaces of their own.
#[derive(Debug)]
pub struct Cri(Pods);

/// The same; the containers share the pid namespace of their pod, whose own container is PID 1 in it.
#[derive(Debug)]
pub struct CriShared(Pods);

macro_rules! cri_runtime {
    ($type:ident, $shared:ident, $mode:expr) => {
        impl Runtime for $type {
            fn shared() -> Result<Arc<Self>, Skip> {
                $shared.get(|| Pods::new($mode).map(Self))
            }

            fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
                self.0.start(name, command, init)
            }

            fn exec(&self, id: &str, command: &[&str]) -> i32 {
                self.0.exec(id, command)
            }

            fn stop(&self, id: &str, grace: Duration) {
                let timeout = i64::try_from(grace.as_secs()).expect("a short grace");
                let _: Nothing = self.0.call("StopContainer", StopContainer { id: id.to_owned(), timeout });
            }

            fn remove(&self, id: &str) {
                self.0.remove(id);
            }

            fn stopper(&self) -> &'static [&'static str] {
                &["containerd-shim"]
            }

            fn parent_of_execs(&self) -> &'static str {
                "containerd-shim"
            }
        }
    };
}

cri_runtime!(Cri, SHARED, Mode::Container);
cri_runtime!(CriShared, SHARED_PID, Mode::Pod);

#[derive(Debug)]
struct Pods {
    _containerd: Arc<Containerd>,
    pid_mode: Mode,
    /// The pod of each container.
    pods: Mutex<HashMap<String, String>>,
}

impl Pods {
    fn new(pid_mode: Mode) -> Result<Self, Skip> {
        let pods = Self { _containerd: containerd::shared()?, pid_mode, pods: Mutex::default() };
        let version: Result<Nothing, String> = pods.try_call("Version", Nothing {});
        version.map_err(|error| Skip::new(format!("containerd's CRI: {error}")))?;
        Ok(pods)
    }

    fn start(&self, name: &str, command: &[&str], init: bool) -> Launched {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // A UUID like the API server's, different for each pod of each run.
        let uid = format!("7a000000-0000-4000-8000-{:08x}{number:04x}", std::process::id());
        let pod_name = format!("{name}-pod");
        let security =
            Security { namespaces: Some(Namespaces { network: Mode::Node.into(), pid: self.pid_mode.into() }) };
        let config = PodConfig {
            metadata: Some(PodMetadata {
                name: pod_name.clone(),
                uid: uid.clone(),
                namespace: NAMESPACE.into(),
                attempt: 0,
            }),
            log_directory: format!("/var/log/pods/{NAMESPACE}_{pod_name}_{uid}"),
            linux: Some(PodLinux {
                cgroup_parent: format!("{}/kubepods/burstable/pod{uid}", sandbox::cgroup()),
                security: Some(security.clone()),
            }),
        };
        let pod: Id = self.call("RunPodSandbox", RunPod { config: Some(config.clone()) });
        let init: &[&str] = if init && self.pid_mode == Mode::Container { &[image::INIT, "--"] } else { &[] };
        let container = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned() }),
            image: Some(Image { image: image::APP.to_owned() }),
            command: [init, command].concat().into_iter().map(ToOwned::to_owned).collect(),
            log_path: format!("{name}/0.log"),
            linux: Some(ContainerLinux { security: Some(ContainerSecurity { namespaces: security.namespaces }) }),
        };
        let create = CreateContainer { pod: pod.id.clone(), config: Some(container), pod_config: Some(config) };
        let created: Result<Id, String> = self.try_call("CreateContainer", create);
        let Id { id } = created.unwrap_or_else(|error| {
            self.remove_pod(&pod.id);
            panic!("CreateContainer: {error}");
        });
        self.pods.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), pod.id);
        let started: Result<Nothing, String> = self.try_call("StartContainer", Id { id: id.clone() });
        if let Err(error) = started {
            self.remove(&id);
            panic!("StartContainer: {error}");
        }
        let identity = json!({
            "runtime": "containerd", "id": id, "name": name, "pod": pod_name, "namespace": NAMESPACE, "pod_uid": uid,
            "image": image::APP,
        });
        Launched { pid: self.pid(&id), id, identity }
    }

    fn pid(&self, id: &str) -> i32 {
        let status: Status = self.call("ContainerStatus", AskStatus { id: id.to_owned(), verbose: true });
        let info: Value = serde_json::from_str(&status.info["info"]).expect("containerd's info is JSON");
        info["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("the container has a pid")
    }

    fn exec(&self, id: &str, command: &[&str]) -> i32 {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let done: Executed = self.call("ExecSync", Exec { id: id.to_owned(), command });
        done.exit_code
    }

    fn remove(&self, id: &str) {
        let pod = self.pods.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(pod) = pod {
            self.remove_pod(&pod);
        }
    }

    /// Removes it with its containers, in any state.
    fn remove_pod(&self, pod: &str) {
        let _: Nothing = self.call("StopPodSandbox", Id { id: pod.to_owned() });
        let _: Nothing = self.call("RemovePodSandbox", Id { id: pod.to_owned() });
    }

    fn call<A: Message + 'static, B: Message + Default + 'static>(&self, method: &str, message: A) -> B {
        self.try_call(method, message).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call<A: Message + 'static, B: Message + Default + 'static>(
        &self,
        method: &str,
        message: A,
    ) -> Result<B, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let path = PathAndQuery::try_from(format!("/runtime.v1.RuntimeService/{method}")).expect("a path");
        runtime.block_on(async {
            // Stops may take their grace period, but nothing takes for ever.
            let endpoint = Endpoint::from_shared(format!("unix://{SOCKET}")).expect("an address");
            let channel = endpoint.timeout(6 * clock::deadline()).connect().await.map_err(|error| error.to_string())?;
            let mut client = tonic::client::Grpc::new(channel);
            client.ready().await.map_err(|error| error.to_string())?;
            let codec = tonic_prost::ProstCodec::<A, B>::default();
            let reply = client.unary(tonic::Request::new(message), path, codec).await;
            reply.map(tonic::Response::into_inner).map_err(|status| status.to_string())
        })
    }
}

/// Whose namespace a container gets: `NamespaceMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Mode {
    Pod = 0,
    Container = 1,
    Node = 2,
}

// The messages of `runtime.v1`, with the fields that are used here.

/// A message without fields of interest.
#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// The many messages that only have an id as their first field.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct RunPod {
    #[prost(message, tag = "1")]
    config: Option<PodConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct PodConfig {
    #[prost(message, tag = "1")]
    metadata: Option<PodMetadata>,
    #[prost(string, tag = "3")]
    log_directory: String,
    #[prost(message, tag = "8")]
    linux: Option<PodLinux>,
}

#[derive(Clone, PartialEq, Message)]
struct PodMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(uint32, tag = "4")]
    attempt: u32,
}

#[derive(Clone, PartialEq, Message)]
struct PodLinux {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, tag = "2")]
    security: Option<Security>,
}

#[derive(Clone, PartialEq, Message)]
struct Security {
    #[prost(message, tag = "1")]
    namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
struct Namespaces {
    #[prost(enumeration = "Mode", tag = "1")]
    network: i32,
    #[prost(enumeration = "Mode", tag = "2")]
    pid: i32,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainer {
    #[prost(string, tag = "1")]
    pod: String,
    #[prost(message, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, tag = "3")]
    pod_config: Option<PodConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerConfig {
    #[prost(message, tag = "1")]
    metadata: Option<ContainerMetadata>,
    #[prost(message, tag = "2")]
    image: Option<Image>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(string, tag = "11")]
    log_path: String,
    #[prost(message, tag = "15")]
    linux: Option<ContainerLinux>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerMetadata {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(string, tag = "1")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerLinux {
    #[prost(message, tag = "2")]
    security: Option<ContainerSecurity>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerSecurity {
    #[prost(message, tag = "3")]
    namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
struct StopContainer {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(int64, tag = "2")]
    timeout: i64,
}

#[derive(Clone, PartialEq, Message)]
struct AskStatus {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "2")]
    verbose: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(map = "string, string", tag = "2")]
    info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Exec {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "2")]
    command: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Executed {
    #[prost(int32, tag = "3")]
    exit_code: i32,
}
