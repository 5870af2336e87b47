//! All names together: a task each, started and stopped as the file says.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_core::{Clock, random};
use portcullis_state::Durable;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinHandle;

use super::account::Accounts;
use super::settings::{AcmeEvents, AcmePlan, Pace};
use super::task::{self, NameTask};

/// Orders certificates and keeps them fresh. One a process; clones share it.
#[derive(Clone)]
pub struct Acme(Arc<Shared>, Arc<Mutex<Tasks>>);

/// What all names share.
pub(super) struct Shared {
    pub(super) durable: Arc<dyn Durable>,
    pub(super) clock: Clock,
    pub(super) events: Arc<dyn AcmeEvents>,
    pub(super) pace: Pace,
    pub(super) accounts: Accounts,
    pub(super) permits: Permits,
    process: String,
}

/// How many names are worked on at once: those that failed last have their own share, so that they
/// hold nobody up who has not.
pub(super) struct Permits {
    others: Arc<Semaphore>,
    failing: Arc<Semaphore>,
}

impl Permits {
    pub(super) fn of(&self, is_failing: bool) -> Arc<Semaphore> {
        Arc::clone(if is_failing { &self.failing } else { &self.others })
    }
}

#[derive(Default)]
struct Tasks {
    plan: Option<Arc<ArcSwap<AcmePlan>>>,
    running: HashMap<String, Running>,
    started: u64,
}

/// Whether a task ends, and what becomes of the answers it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// It goes on.
    No,
    /// The process ends: another one, or this one started again, goes on with the order.
    Leaves,
    /// The name or its authority is not asked for any more.
    Withdraws,
}

struct Running {
    stop: watch::Sender<Halt>,
    task: JoinHandle<()>,
}

impl Acme {
    /// Orders nothing until [`Acme::update`] says what.
    pub fn new(
        durable: Arc<dyn Durable>,
        clock: Clock,
        events: Arc<dyn AcmeEvents>,
        pace: Pace,
    ) -> Self {
        // Without randomness two processes could take each other for the holder of a lease; such a
        // system makes no keys either.
        let drawn = random::bytes::<8>().map_or(0, u64::from_ne_bytes);
        let process = format!("{}-{drawn:016x}", std::process::id());
        let accounts = Accounts::new(Arc::clone(&durable), clock.clone(), process.clone());
        let permits = Permits {
            others: Arc::new(Semaphore::new(pace.at_once)),
            failing: Arc::new(Semaphore::new(pace.failing_at_once)),
        };
        let shared = Shared { durable, clock, events, pace, accounts, permits, process };
        Self(Arc::new(shared), Arc::default())
    }

    /// Serves what is kept for the names of `plan` already. Asks nobody.
    pub async fn load(&self, plan: &AcmePlan) {
        for name in &plan.names {
            match task::kept(&self.0, name).await {
                Ok(Some(kept)) => task::serve(name, &kept, plan),
                Ok(None) => {}
                Err(failure) => {
                    tracing::error!(name, %failure, "the certificate that is kept cannot be read");
                }
            }
        }
    }

    /// Works by `plan` from now on: names come and go, and where the settings are others, orders
    /// under way are gone on with by those. `None` stops all.
    pub async fn update(&self, plan: Option<AcmePlan>) {
        let mut tasks = self.1.lock().await;
        let Some(plan) = plan else {
            tasks.plan = None;
            tasks.running.drain().for_each(|(_, running)| running.stop());
            return;
        };
        self.load(&plan).await;
        let slot = match &tasks.plan {
            Some(slot) if slot.load().settings == plan.settings => {
                slot.store(Arc::new(plan.clone()));
                Arc::clone(slot)
            }
            before => {
                let before = before.as_ref().map(|slot| slot.load_full());
                tasks.end_for(before.as_deref(), &plan);
                Arc::new(ArcSwap::from_pointee(plan.clone()))
            }
        };
        let is_gone = |name: &str| !plan.names.iter().any(|wanted| wanted == name);
        let gone = tasks.running.extract_if(|name, _| is_gone(name));
        gone.for_each(|(_, running)| running.stop());
        for name in plan.names {
            tasks.start(&self.0, &slot, name);
        }
        tasks.plan = Some(slot);
    }

    /// Stops all work and waits until the leases are given up, at most for `limit`. What is under way
    /// is gone on with by the next process, for which answers to challenges stay where they are.
    pub async fn stop(&self, limit: Duration) {
        let running = std::mem::take(&mut *self.1.lock().await).running;
        let all = async {
            for running in running.into_values() {
                running.stop.send_replace(Halt::Leaves);
                running.task.await.ok();
            }
        };
        tokio::time::timeout(limit, all).await.ok();
    }
}

#[cfg(test)]
impl Acme {
    /// Ends in the middle of whatever it does, as a process that is killed.
    pub(super) async fn is_killed(&self) {
        for (_, running) in self.1.lock().await.running.drain() {
            running.task.abort();
        }
    }
}

impl Tasks {
    /// Ends all, as other settings hold from now on. Orders at the same directory are gone on with, by
    /// the answers that are shown.
    fn end_for(&mut self, before: Option<&AcmePlan>, plan: &AcmePlan) {
        let same = before.is_some_and(|old| old.settings.directory == plan.settings.directory);
        for (name, running) in self.running.drain() {
            let goes_on = same && plan.names.contains(&name);
            running.end(if goes_on { Halt::Leaves } else { Halt::Withdraws });
        }
    }

    fn start(&mut self, shared: &Arc<Shared>, plan: &Arc<ArcSwap<AcmePlan>>, name: String) {
        if self.running.get(&name).is_some_and(|running| !running.task.is_finished()) {
            return;
        }
        self.started += 1;
        let (stop, stopped) = watch::channel(Halt::No);
        let task = NameTask {
            shared: Arc::clone(shared),
            name: name.clone(),
            // Of its own for each task: one that ends may still hold the lease.
            holder: format!("{}-{}", shared.process, self.started),
            plan: Arc::clone(plan),
            stop: stopped,
            served: None,
            held_up: None,
        };
        self.running.insert(name, Running { stop, task: tokio::spawn(task.run()) });
    }
}

impl Running {
    /// It ends by itself, after its next step.
    fn stop(self) {
        self.end(Halt::Withdraws);
    }

    fn end(self, halt: Halt) {
        self.stop.send_replace(halt);
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("process", &self.0.process).finish_non_exhaustive()
    }
}
