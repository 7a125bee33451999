//! The filter: whether a process is one of those that userspace asked to follow.
//!
//! A process is followed by pid and start time, so a later process with its pid is not. It is followed because
//! userspace said so, a followed process forked it, or a followed process adopted or traces it. There is no hook for
//! adoptions, so ancestors are checked whenever a process forks, calls exec or exits.

use zombie_trace_ebpf::abi::{Counter, Followed, TaskKey, follow_key, follow_role as role};

use super::{emit::count, maps::FOLLOWED, settings::follows, task::Task};

const BPF_NOEXIST: u64 = 1;
const EEXIST: i32 = -17;
/// Number of generations searched upwards for a followed process: a process that it adopts may already have children.
const GENERATIONS: u32 = 3;
const NOBODY: u64 = 0;

/// Whether events about this process are wanted.
#[inline(always)]
pub(crate) fn wanted(task: Task) -> bool {
    !follows() || role_of(task.key()) == role::FOLLOWED
}

/// Whether a wait call by this thread is wanted; one that names a child also from processes that reap followed ones.
#[inline(always)]
pub(crate) fn wants_wait(thread: Task, names_child: bool) -> bool {
    if !follows() {
        return true;
    }
    let role = role_of(thread.key());
    role == role::FOLLOWED || (role == role::REAPER && names_child)
}

/// Whether the birth of `child` is wanted. The child of a followed process is followed.
#[inline(always)]
pub(crate) fn wants_fork(forker: Task, child: Task) -> bool {
    if !follows() {
        return true;
    }
    // With CLONE_PARENT the forker is not an ancestor.
    let is_followed = role_of(forker.key()) == role::FOLLOWED || has_followed_ancestor(child);
    if is_followed {
        follow(child.key());
    }
    is_followed
}

/// Whether an exec of this process is wanted.
#[inline(always)]
pub(crate) fn wants_exec(task: Task) -> bool {
    !follows() || is_or_becomes_followed(task.leader())
}

/// Whether the exit of this leader's process is wanted. Its reaper is known from now on.
#[inline(always)]
pub(crate) fn wants_exit(leader: Task) -> bool {
    if !follows() {
        return true;
    }
    if !is_or_becomes_followed(leader) {
        return false;
    }
    know_reaper(leader.real_parent());
    know_reaper(leader.parent());
    true
}

/// Whether a death notification to `target` is wanted: for `current`, or for a child that `current` leaves behind or
/// traced.
#[inline(always)]
pub(crate) fn wants_death(current: Task, child_is_current: bool, target: Task) -> bool {
    if !follows() {
        return true;
    }
    let (current_role, target_role) = (role_of(current.key()), role_of(target.key()));
    if child_is_current && current_role != role::FOLLOWED && target_role == role::FOLLOWED {
        // It was adopted between its exit and now.
        follow(current.key());
    }
    let wanted = current_role == role::FOLLOWED
        || target_role == role::FOLLOWED
        || (current_role == role::REAPER && !child_is_current);
    if wanted {
        know_reaper(target);
    }
    wanted
}

/// Forgets a freed process. Returns whether the event is wanted.
#[inline(always)]
pub(crate) fn forget(leader: Task) -> bool {
    if !follows() {
        return true;
    }
    let key = leader.key_of_leader();
    let role = role_of(key);
    if role != NOBODY {
        // The entry exists.
        let _ = FOLLOWED.remove(follow_key(key.tgid, key.start_ns));
    }
    role == role::FOLLOWED
}

#[inline(always)]
fn is_or_becomes_followed(leader: Task) -> bool {
    let key = leader.key();
    if role_of(key) == role::FOLLOWED {
        return true;
    }
    let is_followed =
        has_followed_ancestor(leader) || (leader.is_traced() && role_of(leader.parent().key()) == role::FOLLOWED);
    if is_followed {
        follow(key);
    }
    is_followed
}

#[inline(always)]
fn has_followed_ancestor(leader: Task) -> bool {
    let mut ancestor = leader.real_parent();
    for _ in 0..GENERATIONS {
        if role_of(ancestor.key()) == role::FOLLOWED {
            return true;
        }
        ancestor = ancestor.leader().real_parent();
    }
    false
}

/// What is wanted of this process.
#[inline(always)]
fn role_of(key: TaskKey) -> u64 {
    let Some(entry) = FOLLOWED.get_ptr_mut(follow_key(key.tgid, key.start_ns)) else { return NOBODY };
    // SAFETY: a live map value.
    let entry = unsafe { &mut *entry };
    if entry.start_ns == 0 {
        // Userspace made it for the process with this pid and tick: this one.
        entry.start_ns = key.start_ns;
    }
    if entry.start_ns == key.start_ns { entry.role } else { NOBODY }
}

/// Follows this process from now on. An existing entry is its own, or belongs to a reaped process with the same pid and
/// tick.
#[inline(always)]
fn follow(key: TaskKey) {
    let entry = Followed { start_ns: key.start_ns, role: role::FOLLOWED };
    if FOLLOWED.insert(follow_key(key.tgid, key.start_ns), entry, 0).is_err() {
        count(Counter::FollowedFull);
    }
}

/// This process must reap a followed one.
#[inline(always)]
fn know_reaper(task: Task) {
    let key = task.key();
    if role_of(key) != NOBODY {
        return;
    }
    let entry = Followed { start_ns: key.start_ns, role: role::REAPER };
    // An entry made meanwhile says that it is followed.
    if let Err(error) = FOLLOWED.insert(follow_key(key.tgid, key.start_ns), entry, BPF_NOEXIST)
        && error != EEXIST
    {
        count(Counter::FollowedFull);
    }
}
