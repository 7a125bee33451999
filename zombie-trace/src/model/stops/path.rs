//! The processes of a namespace whose init is to end: who was sent the signal, what each did when it was looked at, and
//! what became of it.

pub use crate::event::Look;
use crate::{
    event::{BootNs, Doing, Evidence, ExitStatus, KnownEnd, KnownMember, Object, ProcFacts, ProcessKey},
    model::{Asked, Disposition, Identity, ParentState, Process, RunState},
    signal,
};

/// Maximum number of processes of one stop that are remembered, the init not counted.
pub(super) const MAX_MEMBERS: usize = 32;
/// Number of threads of a process that are remembered: its leader, and one that waits for a child.
const MAX_DOING: usize = 2;
/// Number of looks at a process that are remembered.
const MAX_LOOKS: usize = 2;

impl Look {
    fn new(at: BootNs, facts: &ProcFacts, evidence: &Evidence, state: RunState) -> Self {
        let (leader, others) = evidence.doing.split_at(evidence.doing.len().min(1));
        let waiting = others.iter().filter(|doing| waits_for_child(doing));
        Self {
            at,
            state: facts.state,
            caught: facts.caught,
            ignored: facts.ignored,
            blocked: facts.blocked,
            held_since: match state {
                RunState::Blocked { since, .. } => Some(since),
                RunState::Running | RunState::Suspect { .. } => None,
            },
            frozen_by: facts.frozen_by.as_deref().map(Into::into),
            tracer: facts.tracer,
            wait_channel: facts.wait_channel.as_deref().map(Into::into),
            runtime: facts.runtime,
            doing: leader.iter().chain(waiting).take(MAX_DOING).cloned().collect(),
        }
    }

    /// What the process would have done with a signal.
    #[must_use]
    pub fn disposition(&self, signal: u32) -> Disposition {
        let bit = signal::bit(signal);
        match () {
            () if self.blocked & bit != 0 => Disposition::Blocked,
            () if self.caught & bit != 0 => Disposition::Handler,
            () if self.ignored & bit != 0 => Disposition::Ignored,
            () => Disposition::Default,
        }
    }

    /// What it does with a signal that was sent before this look. Shells block all for a moment when they fork: one that
    /// comes then is handled all the same.
    pub(super) fn settle(&self, when_sent: Option<Disposition>, signal: u32) -> Option<Disposition> {
        match (when_sent, self.disposition(signal)) {
            (Some(Disposition::Blocked), Disposition::Handler) => Some(Disposition::Handler),
            _ => when_sent,
        }
    }

    /// The thread that waits for a child, if one does.
    #[must_use]
    pub fn waiting(&self) -> Option<&Doing> {
        self.doing.iter().find(|doing| waits_for_child(doing))
    }
}

fn waits_for_child(doing: &Doing) -> bool {
    matches!(doing.object, Object::Child(_) | Object::AnyChild | Object::Group { .. })
}

/// A process in a stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Who.
    pub process: ProcessKey,
    /// Who, for people.
    pub identity: Identity,
    /// Its parent: when it was first looked at, else as last known. In the end all become children of PID 1.
    pub parent: Option<ProcessKey>,
    /// The signal that asked it to end; `None` if it was sent none that is seen.
    pub asked: Option<Asked>,
    /// The last look at it while the stop was under way.
    pub look: Option<Look>,
    /// When it exited, and how; `None` if it has not.
    pub end: Option<(BootNs, ExitStatus)>,
}

/// What is gathered of a process while a stop is under way.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) process: ProcessKey,
    /// Its parent when it was first looked at.
    parent: Option<ProcessKey>,
    /// The last two: the end may be read after a look that was made later.
    looks: Vec<Look>,
    /// Who it was at its end, its parent, and what it was sent.
    end: Option<Box<Ended>>,
}

#[derive(Clone, Debug)]
struct Ended {
    at: BootNs,
    status: ExitStatus,
    identity: Identity,
    parent: Option<ProcessKey>,
    asked: Option<Asked>,
}

/// What is gathered of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    members: Vec<Watched>,
    /// How many more were killed or asked than are remembered, and when the last of them ended.
    more: u64,
    last_evicted: BootNs,
}

impl Watched {
    const fn new(process: ProcessKey) -> Self {
        Self { process, parent: None, looks: Vec::new(), end: None }
    }

    fn look_before(&self, end: BootNs) -> Option<&Look> {
        self.looks.iter().rev().find(|look| look.at < end)
    }
}

impl Gathered {
    fn position(&self, process: ProcessKey) -> Option<usize> {
        self.members.iter().position(|it| it.process == process)
    }

    fn get_or_add(&mut self, process: ProcessKey) -> Option<&mut Watched> {
        let index = match self.position(process) {
            Some(index) => index,
            None if self.members.len() > MAX_MEMBERS && !self.evict() => return None,
            None => {
                self.members.push(Watched::new(process));
                self.members.len() - 1
            }
        };
        self.members.get_mut(index)
    }

    /// Makes room: who ended first goes.
    fn evict(&mut self) -> bool {
        let ended = self.members.iter().enumerate().filter_map(|(index, it)| Some((it.end.as_ref()?.at, index)));
        let Some((at, index)) = ended.min() else { return false };
        self.members.remove(index);
        self.more += 1;
        self.last_evicted = at;
        true
    }

    /// A living process was looked at.
    pub(super) fn looked(
        &mut self,
        at: BootNs,
        process: ProcessKey,
        parent: Option<ProcessKey>,
        parenting: &ParentState,
    ) {
        let Some((_, evidence)) = &parenting.evidence else { return };
        let Some(facts) = evidence.proc.as_ref().filter(|facts| !matches!(facts.state, 'Z' | 'X')) else { return };
        let look = Look::new(at, facts, evidence, parenting.run_state);
        let Some(member) = self.get_or_add(process) else { return };
        if member.looks.len() == MAX_LOOKS {
            member.looks.remove(0);
        }
        member.looks.push(look);
        member.parent = member.parent.or(parent);
    }

    /// A process has exited. One that ended by itself and was not asked to has nothing to do with a stop.
    pub(super) fn ended(&mut self, at: BootNs, status: ExitStatus, process: &Process, is_concerned: bool) {
        if !is_concerned {
            if let Some(index) = self.position(process.key) {
                self.members.remove(index);
            }
            return;
        }
        match self.get_or_add(process.key) {
            Some(member) if member.end.is_none() => {
                let asked = process.asked.as_deref().copied();
                let (identity, parent) = (process.identity.clone(), member.parent.or(process.parent));
                member.end = Some(Box::new(Ended { at, status, identity, parent, asked }));
            }
            Some(_) => {}
            None => {
                self.more += 1;
                self.last_evicted = at;
            }
        }
    }

    /// Forgets who ended before this time.
    pub(super) fn forget_before(&mut self, time: BootNs) {
        self.members.retain(|it| it.end.as_ref().is_none_or(|end| end.at >= time));
        if self.last_evicted < time {
            self.more = 0;
        }
    }

    /// The last look at a process before this time.
    pub(super) fn look_at(&self, process: ProcessKey, before: BootNs) -> Option<&Look> {
        self.members.get(self.position(process)?)?.look_before(before)
    }

    /// Those who had a part in a stop from `since` to `until`, parents first, and how many more there were. `find`
    /// gives a process that has not exited.
    pub(super) fn into_members<'a>(
        self,
        init: ProcessKey,
        since: BootNs,
        until: BootNs,
        find: impl Fn(ProcessKey) -> Option<&'a Process>,
    ) -> (Vec<Member>, u64) {
        let mut members: Vec<Member> = self
            .members
            .into_iter()
            .filter(|it| it.process != init)
            .filter_map(|it| {
                let look = it.look_before(until).filter(|look| look.at >= since).cloned();
                let process = it.process;
                match it.end {
                    Some(end) if end.at < since => None,
                    Some(end) => {
                        let Ended { at, status, identity, parent, asked } = *end;
                        Some(Member { process, identity, parent, asked, look, end: Some((at, status)) })
                    }
                    None => {
                        let found = find(process).filter(|it| !it.is_dead())?;
                        Some(Member {
                            process,
                            identity: found.identity.clone(),
                            parent: it.parent.or(found.parent),
                            asked: found.asked.as_deref().copied(),
                            look,
                            end: None,
                        })
                    }
                }
            })
            .collect();
        for member in &mut members {
            member.asked = member.asked.filter(|asked| asked.last >= since);
            if let (Some(asked), Some(look)) = (&mut member.asked, &member.look) {
                asked.disposition = look.settle(asked.disposition, asked.signal);
            }
        }
        members.sort_by_key(|member| (member.process.start_ns, member.process.pid));
        let more = if self.last_evicted >= since { self.more } else { 0 };
        (members, more)
    }

    /// How many more were killed or asked than are remembered, and when the last of them ended.
    pub(super) const fn more(&self) -> (u64, BootNs) {
        (self.more, self.last_evicted)
    }

    /// For the next file of a recording.
    pub(super) fn known(&self) -> Vec<KnownMember> {
        self.members.iter().map(Watched::known).collect()
    }

    /// As another reader knew it; `own` gives the key by which a process is known here.
    pub(super) fn recall(
        members: &[KnownMember],
        (more, last_evicted): (u64, BootNs),
        own: impl Fn(ProcessKey) -> ProcessKey,
    ) -> Self {
        let members = members.iter().take(MAX_MEMBERS + 1).map(|member| Watched::recall(member, &own)).collect();
        Self { members, more, last_evicted }
    }
}

impl Watched {
    fn known(&self) -> KnownMember {
        let end = self.end.as_ref().map(|end| {
            Box::new(KnownEnd {
                who: end.identity.known_as(self.process, end.at, None),
                status: end.status,
                parent: end.parent,
                asked: end.asked.as_ref().map(Asked::known),
            })
        });
        KnownMember { process: self.process, parent: self.parent, looks: self.looks.clone(), end }
    }

    fn recall(known: &KnownMember, own: impl Fn(ProcessKey) -> ProcessKey) -> Self {
        let end = known.end.as_ref().map(|end| {
            Box::new(Ended {
                at: end.who.died,
                status: end.status,
                identity: Identity::recall(&end.who),
                parent: end.parent.map(&own),
                asked: end.asked.as_ref().map(Asked::recall),
            })
        });
        let mut looks: Vec<Look> = known.looks.iter().take(MAX_LOOKS).cloned().collect();
        looks.iter_mut().for_each(|look| look.doing.truncate(MAX_DOING));
        Self { process: own(known.process), parent: known.parent.map(&own), looks, end }
    }
}
