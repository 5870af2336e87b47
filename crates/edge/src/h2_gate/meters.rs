//! How often a client may do what costs it nothing.
//!
//! Most of these frames answer something of ours: a client acknowledges data with
//! `WINDOW_UPDATE`, measures a connection with PING while data flows. What it has earned so is not held against it.

use std::time::Duration;

use super::Ended;

/// The time after which every meter is full again.
const WINDOW: Duration = Duration::from_mins(1);

/// One kind of event: so many a minute, and more where they are earned.
#[derive(Debug)]
pub(super) struct Meter {
    left: u32,
    maximum: u32,
    reason: Ended,
}

impl Meter {
    const fn new(maximum: u32, reason: Ended) -> Self {
        Self { left: maximum, maximum, reason }
    }

    /// Counts one event.
    pub(super) fn take(&mut self) -> Result<(), Ended> {
        self.left = self.left.checked_sub(1).ok_or(self.reason)?;
        Ok(())
    }

    /// Gives back what was earned.
    pub(super) fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.maximum);
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Meters {
    since: Duration,
    pub(super) cancels: Meter,
    pub(super) empty_frames: Meter,
    pub(super) faults: Meter,
    pub(super) malformed: Meter,
    pub(super) pings: Meter,
    pub(super) priorities: Meter,
    pub(super) refused_streams: Meter,
    pub(super) settings: Meter,
    pub(super) unknown_frames: Meter,
    pub(super) window_updates: Meter,
}

impl Meters {
    pub(super) const fn new(now: Duration) -> Self {
        Self {
            since: now,
            cancels: Meter::new(90, Ended::Cancels),
            empty_frames: Meter::new(90, Ended::EmptyFrames),
            faults: Meter::new(90, Ended::Faults),
            malformed: Meter::new(100, Ended::Malformed),
            pings: Meter::new(120, Ended::Pings),
            priorities: Meter::new(240, Ended::Priorities),
            refused_streams: Meter::new(150, Ended::RefusedStreams),
            settings: Meter::new(60, Ended::Settings),
            unknown_frames: Meter::new(240, Ended::UnknownFrames),
            window_updates: Meter::new(1_800, Ended::WindowUpdates),
        }
    }

    /// Fills all meters where a minute is over.
    pub(super) fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.since) >= WINDOW {
            *self = Self::new(now);
        }
    }

    /// A request came.
    pub(super) fn requested(&mut self) {
        self.priorities.earn(2);
        self.window_updates.earn(2);
    }

    /// We sent HEADERS or DATA.
    pub(super) fn sent(&mut self) {
        self.pings.earn(1);
        self.window_updates.earn(4);
    }

    /// We answered a request to its end.
    pub(super) fn answered(&mut self) {
        self.cancels.earn(1);
    }
}
