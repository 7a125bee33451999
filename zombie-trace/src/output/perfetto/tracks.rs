//! Which track something is drawn on.
//!
//! Slices on one track of Perfetto's must nest, and zombies of one parent overlap as they please. So each parent has as
//! many tracks as it had zombies at a time, all of one name, which the viewer shows as one.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::output::timeline::{Key, Row, container_label, key};

/// So many rows are remembered; with more, the tracks of all begin anew.
const MAX_ROWS: usize = 1 << 16;

/// What bars are of. Those of each kind have tracks of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bars {
    Zombies,
    Stops,
}

impl Bars {
    /// Also the name of the tracks.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Zombies => "zombies",
            Self::Stops => "stops",
        }
    }

    /// Of the bars.
    pub(super) const fn category(self) -> &'static str {
        match self {
            Self::Zombies => "zombie",
            Self::Stops => "stop",
        }
    }
}

/// A track to be told of before anything is put on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewTrack {
    pub(super) uuid: u64,
    pub(super) parent: Option<u64>,
    pub(super) name: String,
    pub(super) counts: bool,
}

#[derive(Debug)]
struct RowTracks {
    /// The row's own, for what happens at one time.
    own: u64,
    counter: Option<u64>,
    count: i64,
    /// Tracks for zombies and for stops, by when the last on each ended.
    lanes: [BTreeSet<(i64, u64)>; 2],
}

impl RowTracks {
    fn new(own: u64) -> Self {
        Self { own, counter: None, count: 0, lanes: [BTreeSet::new(), BTreeSet::new()] }
    }

    fn lanes(&mut self, bars: Bars) -> &mut BTreeSet<(i64, u64)> {
        let [zombies, stops] = &mut self.lanes;
        match bars {
            Bars::Zombies => zombies,
            Bars::Stops => stops,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    last: u64,
    host: u64,
    containers: FxHashMap<Option<String>, u64>,
    rows: FxHashMap<(Option<String>, Option<Key>), RowTracks>,
    new: Vec<NewTrack>,
}

impl Tracks {
    /// What follows is of another host or another boot.
    pub(super) fn begin_host(&mut self, name: String) {
        (self.containers, self.rows) = (FxHashMap::default(), FxHashMap::default());
        self.host = self.add(None, name, false);
    }

    /// The host's own track.
    pub(super) fn host(&self) -> u64 {
        self.host
    }

    /// The next track to be told of.
    pub(super) fn take_new(&mut self) -> Vec<NewTrack> {
        std::mem::take(&mut self.new)
    }

    /// Where something is put that happens to a process at one time.
    pub(super) fn instants(&mut self, row: &Row) -> u64 {
        self.row(row).own
    }

    /// A track on which nothing is from `since` on, taken until `end`. Zombies are told in the order of their ends.
    pub(super) fn lane(&mut self, row: &Row, bars: Bars, since: i64, end: i64) -> u64 {
        let tracks = self.row(row);
        let own = tracks.own;
        // The one that has been empty for the shortest time, so that the others stay good for what began earlier.
        let lanes = tracks.lanes(bars);
        let empty = lanes.range(..=(since, u64::MAX)).next_back().copied();
        if let Some(lane) = empty {
            lanes.remove(&lane);
        }
        let uuid = match empty {
            Some((_, uuid)) => uuid,
            None => self.add(Some(own), bars.name().to_owned(), false),
        };
        self.row(row).lanes(bars).insert((end, uuid));
        uuid
    }

    /// One zombie more or less: the counter's track and its new value.
    pub(super) fn count(&mut self, row: &Row, change: i64) -> (u64, i64) {
        let tracks = self.row(row);
        tracks.count = (tracks.count + change).max(0);
        let (own, count, counter) = (tracks.own, tracks.count, tracks.counter);
        let uuid = counter.unwrap_or_else(|| {
            let uuid = self.add(Some(own), "zombies that have come of age".to_owned(), true);
            self.row(row).counter = Some(uuid);
            uuid
        });
        (uuid, count)
    }

    fn row(&mut self, row: &Row) -> &mut RowTracks {
        let container = row.container.as_ref().map(|it| it.id.clone());
        let place = (container.clone(), row.process.as_ref().map(key));
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&place) {
            self.rows.clear();
        }
        if !self.rows.contains_key(&place) {
            let parent = self.container(container, row);
            let name = match &row.process {
                Some(process) => format!("{} ({})", process.comm, process.pid),
                None => "parent not known".to_owned(),
            };
            let own = self.add(Some(parent), name, false);
            self.rows.insert(place.clone(), RowTracks::new(own));
        }
        self.rows.entry(place).or_insert_with(|| RowTracks::new(0))
    }

    fn container(&mut self, id: Option<String>, row: &Row) -> u64 {
        if let Some(&known) = self.containers.get(&id) {
            return known;
        }
        let host = self.host();
        let name = row.container.as_ref().map_or_else(|| "in no container".to_owned(), container_label);
        let uuid = self.add(Some(host), name, false);
        self.containers.insert(id, uuid);
        uuid
    }

    fn add(&mut self, parent: Option<u64>, name: String, counts: bool) -> u64 {
        self.last += 1;
        self.new.push(NewTrack { uuid: self.last, parent, name, counts });
        self.last
    }
}
