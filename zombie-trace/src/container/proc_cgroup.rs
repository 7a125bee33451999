//! Which line of `/proc/PID/cgroup` to use.

use super::cgroup::{container, strip_deleted};

/// The path that says most about the process, from the content of `/proc/PID/cgroup`, or `None` if there is no line of
/// the form `HIERARCHY:CONTROLLERS:PATH`.
///
/// The order is v2, pids, systemd's own, memory, then the rest. The first line that names a container wins: on a hybrid
/// host a runtime with the cgroupfs driver moves its processes only in the v1 hierarchies, and their v2 line stays
/// `/system.slice/containerd.service`. If none names a container, the first that is not the root wins, or else the
/// root.
///
/// A zombie's v1 lines read `/`: `proc_cgroup_show` prints the root for an exiting task except on v2, so a path must be
/// read before the process dies or come from the event. The v2 line of a removed cgroup loses its ` (deleted)` here.
#[must_use]
pub fn from_proc_cgroup(text: &str) -> Option<&str> {
    let mut lines: Vec<(u8, &str)> = text.lines().filter_map(line).collect();
    // A stable sort, so that equal ranks keep the kernel's order.
    lines.sort_by_key(|(rank, _)| *rank);
    let mut paths = lines.iter().map(|(_, path)| *path).filter(|path| *path != "/");
    paths
        .clone()
        .find(|path| container(path).is_some())
        .or_else(|| paths.next())
        .or_else(|| lines.first().map(|(_, path)| *path))
}

/// The rank of a line and its path. A path may contain colons but no newline, which the kernel refuses in a cgroup's
/// name.
fn line(line: &str) -> Option<(u8, &str)> {
    let mut fields = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let numeric = !hierarchy.is_empty() && hierarchy.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric || !path.starts_with('/') {
        return None;
    }
    let has = |controller| controllers.split(',').any(|each| each == controller);
    let rank = match () {
        () if hierarchy == "0" && controllers.is_empty() => 0,
        () if has("pids") => 1,
        () if has("name=systemd") => 2,
        () if has("memory") => 3,
        () => 4,
    };
    Some((rank, strip_deleted(path)))
}
