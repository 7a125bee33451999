//! Recognises cgroup paths in one pass over the path's segments.
//!
//! Sources: the runtimes' code and their issue trackers. With the systemd driver an OCI `cgroupsPath` `SLICE:PREFIX:ID`
//! becomes `SLICE/PREFIX-ID.scope` (runc, `docs/systemd.md`); without the systemd driver, the same string becomes one
//! literal segment with its colons. The kubelet names pod cgroups in `pkg/kubelet/cm`, LXC its own in
//! `lxc.cgroup.dir.*`, systemd units in `systemd.slice(5)`.

use super::{Container, Identity, Runtime, Unit, UnitKind};

/// Prefixes of a container's own segment, and whether the segment may lack the suffix `.scope`, which the cgroupfs
/// driver of CRI-O and Podman leaves out. 64 hex digits must follow the prefix, which also excludes the monitors:
/// `crio-conmon-ID.scope` and `libpod-conmon-ID.scope` are conmon, outside the container.
const PREFIXES: [(&str, Runtime, bool); 6] = [
    ("docker-", Runtime::Docker, false),
    ("cri-containerd-", Runtime::Containerd, false),
    ("nerdctl-", Runtime::Containerd, false),
    ("crio-", Runtime::CriO, true),
    ("libpod-", Runtime::Podman, true),
    // `podman run --cgroups=split`, which quadlets use, inside the service's own cgroup.
    ("libpod-payload-", Runtime::Podman, true),
];

/// Parents whose children are containers if they are 64 hex digits.
const PARENTS: [(&str, Runtime, Anywhere); 5] = [
    ("docker", Runtime::Docker, Anywhere::Yes),
    // The `cgroup-parent` of dockerd on GitHub's hosted runners.
    ("actions_job", Runtime::Docker, Anywhere::No),
    // containerd's default path is /NAMESPACE/ID. Its namespaces and other software's cgroups may have any name, so
    // only the usual ones count, and only with an id as from nerdctl, CRI and Docker.
    ("default", Runtime::Containerd, Anywhere::No),
    ("k8s.io", Runtime::Containerd, Anywhere::No),
    ("moby", Runtime::Docker, Anywhere::No),
];

/// Whether a parent counts at any depth, or only at the root of the hierarchy or of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anywhere {
    Yes,
    No,
}

/// What the path says about a process: the outermost container and the innermost one in it, or else the systemd unit.
///
/// `path` is relative to the root of its hierarchy, as in `/proc/PID/cgroup`. `..` at its start (a reader in another
/// cgroup namespace) and the kernel's suffix ` (deleted)` are understood. Any text is safe to pass; it costs one pass
/// without allocation until something is found.
///
/// Under `/kubepods/…/podUID/` a bare id is taken for containerd's, although cri-dockerd with the cgroupfs driver
/// writes the same.
#[must_use]
pub fn identify(path: &str) -> Option<Identity> {
    let mut scan = Scan::default();
    let mut units = Units::default();
    let mut segments = strip_deleted(path).split('/').filter(|segment| !matches!(*segment, "" | "." | "..")).peekable();
    while let Some(segment) = segments.next() {
        scan.step(segment, segments.peek().copied());
        units.step(segment);
    }
    let Some((outer, pod)) = scan.outer else { return units.unit.map(Identity::Unit) };
    let inner = scan.found.filter(|inner| *inner != outer).map(|inner| Box::new(inner.container(scan.pod)));
    Some(Identity::Container(Container { inner, ..outer.container(pod) }))
}

/// The container of the path, if there is one. See [`identify`].
#[must_use]
pub fn container(path: &str) -> Option<Container> {
    match identify(path)? {
        Identity::Container(container) => Some(container),
        Identity::Unit(_) => None,
    }
}

/// The kernel appends this to the v2 path of a zombie whose cgroup is gone (`Documentation/admin-guide/cgroup-v2.rst`).
pub(super) fn strip_deleted(path: &str) -> &str {
    path.strip_suffix(" (deleted)").unwrap_or(path)
}

/// A container whose strings still point into the path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Found<'a> {
    runtime: Runtime,
    id: &'a str,
    name: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn id(runtime: Runtime, id: &'a str) -> Self {
        Self { runtime, id, name: None }
    }

    fn named(runtime: Runtime, name: &'a str) -> Self {
        Self { runtime, id: name, name: Some(name) }
    }

    fn container(self, pod: Option<&str>) -> Container {
        // Names of nspawn machines and libvirt's LXC domains are escaped in unit names; no other runtime writes `\x`.
        let (id, name) = match self.runtime {
            Runtime::Systemd | Runtime::Lxc => (unescape(self.id), self.name.map(unescape)),
            _ => (self.id.to_owned(), self.name.map(str::to_owned)),
        };
        // The systemd driver writes the dashes of a pod's UID as underscores, as a dash means a parent slice.
        let pod_uid = pod.map(|uid| uid.replace('_', "-"));
        Container { name, pod_uid, ..Container::new(self.runtime, id) }
    }
}

/// State after some segments.
#[derive(Default)]
struct Scan<'a> {
    /// The innermost container.
    found: Option<Found<'a>>,
    /// The outermost one and the pod around it.
    outer: Option<(Found<'a>, Option<&'a str>)>,
    /// The pod around the container; a container nested in a pod's container is still in that pod.
    pod: Option<&'a str>,
    /// The last segment.
    parent: &'a str,
    /// The one before.
    grandparent: &'a str,
    /// Whether the last segment was at the root of the hierarchy or inside a container.
    parent_anchored: bool,
    /// Whether the last segment was a Kubernetes pod's.
    parent_is_kubernetes_pod: bool,
    /// Whether a `kubepods` has been passed.
    kubepods: bool,
    /// How many segments ago an anchored `ecs` was passed, counted from 1; 0 if none was.
    since_ecs: u32,
    /// Whether `nomad.slice` has been passed.
    nomad_slice: bool,
}

impl<'a> Scan<'a> {
    fn step(&mut self, segment: &'a str, next: Option<&str>) {
        let anchored = self.parent.is_empty() || self.found.is_some();
        let kubernetes_pod = self.kubernetes_pod(segment);
        self.pod = kubernetes_pod.or_else(|| self.podman_pod(segment)).or(self.pod);
        if let Some(found) = self.own_name(segment).or_else(|| self.by_parent(segment, next)) {
            self.outer.get_or_insert((found, self.pod));
            self.found = Some(found);
        }
        self.kubepods |= segment.strip_suffix(".slice").unwrap_or(segment).ends_with("kubepods");
        self.nomad_slice |= segment == "nomad.slice";
        self.since_ecs = match self.since_ecs {
            0 => u32::from(anchored && segment == "ecs"),
            passed => passed.saturating_add(1),
        };
        self.parent_is_kubernetes_pod = kubernetes_pod.is_some();
        self.parent_anchored = anchored;
        self.grandparent = self.parent;
        self.parent = segment;
    }

    /// The UID of the pod whose cgroup this is: `podUID` below `kubepods`, or `…kubepods…-podUID.slice`, which may go
    /// on as `:PREFIX:ID`.
    fn kubernetes_pod(&self, segment: &'a str) -> Option<&'a str> {
        if let Some((slice, _)) = segment.split_once(".slice") {
            let (before, uid) = slice.rsplit_once("-pod")?;
            return (before.contains("kubepods") && is_uid(uid)).then_some(uid);
        }
        let uid = segment.strip_prefix("pod")?;
        (self.kubepods && is_uid(uid)).then_some(uid)
    }

    /// The id of the Podman pod whose cgroup this is: `…-libpod_pod_ID.slice`, or `ID` below `libpod_parent`.
    fn podman_pod(&self, segment: &'a str) -> Option<&'a str> {
        let id = match segment.split_once("libpod_pod_") {
            Some((_, id)) => id.strip_suffix(".slice")?,
            None if self.parent == "libpod_parent" => segment,
            None => return None,
        };
        is_hex64(id).then_some(id)
    }

    /// A segment that identifies a container by itself.
    fn own_name(&self, segment: &'a str) -> Option<Found<'a>> {
        let (stem, scope) = segment.strip_suffix(".scope").map_or((segment, false), |stem| (stem, true));
        for (prefix, runtime, bare) in PREFIXES {
            if let Some(id) = stem.strip_prefix(prefix)
                && (scope || bare)
                && is_hex64(id)
            {
                return Some(Found::id(runtime, id));
            }
        }
        // LXC since 4.0 splits a container in `lxc.payload.NAME` and `lxc.monitor.NAME`; the latter is on the host.
        if let Some(name) = segment.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
            let name = if self.parent.ends_with(".slice") { name.strip_suffix(".scope").unwrap_or(name) } else { name };
            return Some(Found::named(Runtime::Lxc, name));
        }
        // SLICE:PREFIX:ID as one literal segment.
        let mut parts = segment.splitn(3, ':');
        let (slice, prefix, id) = (parts.next()?, parts.next()?, parts.next()?);
        if !slice.is_empty() && !slice.ends_with(".slice") {
            return None;
        }
        let (_, runtime, _) = PREFIXES.iter().find(|(known, ..)| known.strip_suffix('-') == Some(prefix))?;
        let build_step = *runtime == Runtime::Docker && is_buildkit_id(id);
        (is_hex64(id) || build_step).then_some(Found::id(*runtime, id))
    }

    /// A segment that is identified by the segments before it.
    fn by_parent(&self, segment: &'a str, next: Option<&str>) -> Option<Found<'a>> {
        if is_hex64(segment) {
            if self.parent_is_kubernetes_pod {
                return Some(Found::id(Runtime::Containerd, segment));
            }
            // Amazon's agent gives its containers to Docker below /ecs/TASK or /ecs/CLUSTER/TASK.
            if matches!(self.since_ecs, 2 | 3) {
                return Some(Found::id(Runtime::Docker, segment));
            }
            let known = |(name, _, anywhere): &&(&str, Runtime, Anywhere)| {
                *name == self.parent && (*anywhere == Anywhere::Yes || self.parent_anchored)
            };
            return PARENTS.iter().find(known).map(|(_, runtime, _)| Found::id(*runtime, segment));
        }
        match self.parent {
            "docker" if is_buildkit_id(segment) => Some(Found::id(Runtime::Docker, segment)),
            "buildkit" if self.grandparent == "docker" && is_buildkit_id(segment) => {
                Some(Found::id(Runtime::Docker, segment))
            }
            "lxc" | "lxc.payload" if self.parent_anchored => Some(Found::named(Runtime::Lxc, segment)),
            "nomad" if self.parent_anchored => nomad(segment),
            _ if self.nomad_slice && self.parent.ends_with(".slice") => nomad(segment.strip_suffix(".scope")?),
            "garden" if is_garden_handle(segment) => Some(Found::id(Runtime::Garden, segment)),
            // Garden moves a container that uses more than its share of the CPU from `good` to `bad`.
            "good" | "bad" if self.grandparent == "garden" && is_garden_handle(segment) => {
                Some(Found::id(Runtime::Garden, segment))
            }
            "machine.slice" => machine(segment, next),
            _ => None,
        }
    }
}

/// `ALLOCATION` or `ALLOCATION.TASK`.
fn nomad(segment: &str) -> Option<Found<'_>> {
    let (allocation, task) = match segment.split_once('.') {
        Some((allocation, task)) => (allocation, Some(task).filter(|task| !task.is_empty())),
        None => (segment, None),
    };
    is_uuid(allocation).then_some(Found { runtime: Runtime::Nomad, id: allocation, name: task })
}

/// A child of `machine.slice`: nspawn's service or scope, or a scope of libvirt's LXC driver. Virtual machines are not
/// containers, and neither is nspawn itself, which sits in `supervisor` beside the container's `payload`.
fn machine<'a>(segment: &'a str, next: Option<&str>) -> Option<Found<'a>> {
    if next == Some("supervisor") {
        return None;
    }
    if let Some(name) = segment.strip_prefix("systemd-nspawn@") {
        let name = name.strip_suffix(".service").filter(|name| !name.is_empty())?;
        return Some(Found::named(Runtime::Systemd, name));
    }
    let name = segment.strip_prefix("machine-")?.strip_suffix(".scope").filter(|name| !name.is_empty())?;
    match libvirt(name) {
        Some(("lxc", domain)) => Some(Found::named(Runtime::Lxc, domain)),
        Some(_) => None,
        // libvirt before 1.3 wrote no number.
        None if name.starts_with("qemu\\x2d") || name.starts_with("qemu-") => None,
        None => Some(Found::named(Runtime::Systemd, name)),
    }
}

/// The driver and the domain of a libvirt machine, `DRIVER-NUMBER-NAME`, its dashes escaped or not.
fn libvirt(name: &str) -> Option<(&str, &str)> {
    let dash = |text: &'_ str| -> Option<usize> {
        ["\\x2d", "-"].into_iter().find(|dash| text.starts_with(dash)).map(str::len)
    };
    let driver = ["qemu", "lxc", "xen", "ch"].into_iter().find(|driver| name.starts_with(driver))?;
    let rest = name.get(driver.len()..)?;
    let rest = rest.get(dash(rest)?..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let rest = rest.get(digits..).filter(|_| digits > 0)?;
    let domain = rest.get(dash(rest)?..)?;
    (!domain.is_empty()).then_some((driver, domain))
}

/// Follows a path through slices to the unit. A directory that is not a slice ends the search, because cgroups below it
/// are not systemd's: a service with delegation may create any.
#[derive(Default)]
struct Units {
    unit: Option<Unit>,
    user: bool,
    done: bool,
}

impl Units {
    fn step(&mut self, segment: &str) {
        if self.done || (segment.ends_with(".slice") && segment.len() > ".slice".len()) {
            return;
        }
        self.done = true;
        let Some(kind) = unit_kind(segment) else { return };
        if self.user && segment == "init.scope" {
            // The user's manager itself, usually known as user@UID.service.
            return;
        }
        self.unit = Some(Unit { name: segment.to_owned(), kind, user: self.user });
        if !self.user && kind == UnitKind::Service && segment.starts_with("user@") {
            self.user = true;
            self.done = false;
        }
    }
}

fn unit_kind(segment: &str) -> Option<UnitKind> {
    let (stem, suffix) = segment.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    match suffix {
        "service" => Some(UnitKind::Service),
        "scope" => Some(UnitKind::Scope),
        "socket" => Some(UnitKind::Socket),
        "mount" => Some(UnitKind::Mount),
        "swap" => Some(UnitKind::Swap),
        _ => None,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 32 random bytes, as the ids of Docker, containerd's CRI, nerdctl, CRI-O and Podman.
pub(super) fn is_hex64(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// `BuildKit`'s ids: 25 digits in base 36.
fn is_buildkit_id(text: &str) -> bool {
    text.len() == 25 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && hex_groups(text, &[8, 4, 4, 4, 12])
}

/// A UUID, or Cloud Foundry's form: 28 characters, with the last group cut to four digits. Its health checks add a
/// word.
fn is_garden_handle(text: &str) -> bool {
    let is_handle = |text: &str| is_uuid(text) || (text.len() == 28 && hex_groups(text, &[8, 4, 4, 4, 4]));
    is_handle(text)
        || [28, 36].into_iter().any(|length| {
            text.get(..length).is_some_and(is_handle) && text.get(length..).is_some_and(|rest| rest.starts_with('-'))
        })
}

fn hex_groups(text: &str, lengths: &[usize]) -> bool {
    text.split('-').map(str::len).eq(lengths.iter().copied()) && text.split('-').all(is_hex)
}

/// A pod's UID. Usually a UUID or a static pod's hash, but a static pod's manifest may choose it.
fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Undoes the `\xNN` of `systemd-escape`. A dash stays a dash: machine names have no slashes.
fn unescape(text: &str) -> String {
    if !text.contains("\\x") {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let [b'\\', b'x', high, low, tail @ ..] = rest
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
