//! The whole engine against an authority that does as it is told, in a time moved by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_core::{Clock, Secret, Timestamp};
use portcullis_state::{Durable, Kind, MemoryDurable};
use portcullis_testkit::{FakeCa, Refusal, Validation};

use super::*;
use crate::{CertificateSources, CertificateStore};

const HOUR: Duration = Duration::from_hours(1);

/// Counts what happens.
#[derive(Debug, Default)]
struct Counts(Mutex<Vec<(&'static str, String)>>);

impl AcmeEvents for Counts {
    fn ordered(&self, name: &str) {
        self.0.lock().push(("ordered", name.to_owned()));
    }

    fn issued(&self, name: &str) {
        self.0.lock().push(("issued", name.to_owned()));
    }

    fn failed(&self, name: &str) {
        self.0.lock().push(("failed", name.to_owned()));
    }

    fn held_up(&self, name: &str, reason: Option<&str>) {
        let what = if reason.is_some() { "held up" } else { "free" };
        self.0.lock().push((what, name.to_owned()));
    }
}

/// Shows TXT records to nobody, and knows which are shown.
#[derive(Debug, Default)]
struct Shown(Mutex<BTreeSet<String>>);

#[async_trait]
impl Solver for Shown {
    async fn present(&self, challenge: &Challenge) -> Result<(), SolveError> {
        if challenge.name == "unsolved.test" {
            return Err(challenge.unsolved("no such zone"));
        }
        self.0.lock().insert(challenge.name.clone());
        Ok(())
    }

    async fn withdraw(&self, challenge: &Challenge) {
        self.0.lock().remove(&challenge.name);
    }
}

/// An authority, a store of records and a clock; any number of processes on them.
struct World {
    ca: FakeCa,
    clock: Clock,
    durable: Arc<dyn Durable>,
    events: Arc<Counts>,
    shown: Arc<Shown>,
}

/// One process.
struct Process {
    acme: Acme,
    store: CertificateStore,
}

fn pace() -> Pace {
    let milli = Duration::from_millis;
    Pace { busy: milli(20), idle: milli(50), step: milli(10), ..Pace::default() }
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
        Self {
            ca: FakeCa::start_at(clock.clone()),
            durable: Arc::new(MemoryDurable::new(clock.clone())),
            clock,
            events: Arc::default(),
            shown: Arc::default(),
        }
    }

    fn settings(&self) -> AcmeSettings {
        AcmeSettings {
            directory: self.ca.directory(),
            contact: vec!["mailto:ops@example.test".to_owned()],
            challenge: ChallengeType::TlsAlpn01,
            external_account: None,
            trust_pem: Some(self.ca.trust_pem().as_bytes().to_vec()),
            dns: None,
        }
    }

    fn plan(&self, names: &[&str], settings: AcmeSettings) -> AcmePlan {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let sources = CertificateSources { acme: names.clone(), ..CertificateSources::default() };
        let store = CertificateStore::open(&sources, None, self.clock.clone()).unwrap();
        let published = Published::new(Arc::clone(&self.durable));
        let dns: Arc<dyn Solver> = Arc::clone(&self.shown) as _;
        AcmePlan { settings, names, solvers: Solvers { published, dns: Some(dns) }, store }
    }

    async fn start(&self, names: &[&str]) -> Process {
        let events: Arc<dyn AcmeEvents> = Arc::clone(&self.events) as _;
        let acme = Acme::new(Arc::clone(&self.durable), self.clock.clone(), events, pace());
        let plan = self.plan(names, self.settings());
        let store = plan.store.clone();
        acme.update(Some(plan)).await;
        Process { acme, store }
    }

    async fn record(&self, name: &str) -> NameRecord {
        NameRecord::load(&*self.durable, name).await.unwrap()
    }

    async fn answers(&self) -> usize {
        self.durable.list(Kind::Challenge).await.unwrap().len() + self.shown.0.lock().len()
    }

    fn events(&self, what: &str, name: &str) -> usize {
        let events = self.events.0.lock();
        events.iter().filter(|(kind, of)| *kind == what && of == name).count()
    }
}

impl Process {
    fn serves(&self, name: &str) -> bool {
        self.store.find(name).is_some()
    }

    async fn awaits(&self, name: &str) {
        until(&format!("a certificate for {name}"), async || self.serves(name)).await;
    }

    async fn ends(self) {
        self.acme.stop(Duration::from_secs(30)).await;
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = Clock::system();
    while !holds().await {
        assert!(patience.monotonic() < Duration::from_mins(1), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Long enough for anything that is going to happen in a time that stands still.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_ordered_kept_and_never_ordered_again_by_a_restart() {
    let world = World::new();
    let first = world.start(&["a.test", "*.w.test"]).await;
    first.awaits("a.test").await;
    first.awaits("x.w.test").await;
    first.ends().await;
    assert_eq!(world.answers().await, 0, "answers are taken away");
    for _ in 0..3 {
        let again = world.start(&["a.test", "*.w.test"]).await;
        assert!(again.serves("a.test") && again.serves("x.w.test"), "at once, from what is kept");
        settle().await;
        again.ends().await;
    }
    assert_eq!(world.ca.count("newAccount"), 1);
    assert_eq!(world.ca.count("newOrder"), 2);
    assert_eq!(world.ca.contacts(), [["mailto:ops@example.test"]]);
    let agent = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    assert_eq!(world.ca.user_agents(), [agent]);
    assert_eq!(world.events("issued", "a.test"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_place_one_order_and_all_serve() {
    let world = World::new();
    world.ca.delay("newOrder", Duration::from_millis(100));
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(world.start(&["a.test"]).await);
    }
    for process in &all {
        process.awaits("a.test").await;
    }
    assert_eq!((world.ca.count("newAccount"), world.ca.count("newOrder")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_name_is_tried_four_times_an_hour_and_holds_nobody_up() {
    let world = World::new();
    world.ca.validation("bad.test", Validation::Fail);
    let mut tries = Vec::new();
    for round in 0..60 {
        let process = world.start(&["bad.test", "good.test"]).await;
        if round == 0 {
            process.awaits("good.test").await;
            until("the first failure", async || world.events("failed", "bad.test") == 1).await;
        }
        settle_short().await;
        process.ends().await;
        tries.push(world.ca.failed_validations("bad.test"));
        world.clock.advance(Duration::from_mins(2));
    }
    assert_eq!(tries[0], 1);
    let times = world.ca.times_of("failedValidation", "bad.test");
    assert!(times.len() >= 5 && times.len() <= 9, "over two hours: {times:?}");
    for five in times.windows(5) {
        assert!(five[4].since(five[0]) >= HOUR, "{five:?}");
    }
    assert_eq!(world.ca.count("newAccount"), 1);
    assert_eq!(world.ca.failed_validations("good.test"), 0);
    let record = world.record("bad.test").await;
    assert!(record.last_error.unwrap().contains("was not found"));
    assert_eq!(world.answers().await, 0);
}

async fn settle_short() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed_over_restarts_and_beyond_our_own_waits() {
    let world = World::new();
    let limited = Refusal::rate_limited("7300");
    world.ca.refuse("newOrder", Some("a.test"), limited);
    let process = world.start(&["a.test"]).await;
    until("a refusal", async || world.events("failed", "a.test") == 1).await;
    process.ends().await;
    world.ca.accept("newOrder", Some("a.test"));
    for _ in 0..7 {
        world.clock.advance(Duration::from_secs(1_000));
        let process = world.start(&["a.test"]).await;
        settle_short().await;
        process.ends().await;
        assert_eq!(world.ca.count("newOrder"), 1);
    }
    world.clock.advance(Duration::from_secs(301));
    world.start(&["a.test"]).await.awaits("a.test").await;
    assert!(world.record("a.test").await.last_error.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_away_is_no_end_and_no_failed_validation() {
    let world = World::new();
    world.ca.refuse("directory", None, Refusal::unavailable(None));
    let process = world.start(&["a.test"]).await;
    until("a refusal", async || world.events("failed", "a.test") == 1).await;
    let record = world.record("a.test").await;
    assert!(record.last_error.unwrap().contains("503"), "{:?}", record.failures);
    assert!(record.validations.is_empty());
    world.ca.accept("directory", None);
    world.clock.advance(Duration::from_mins(1));
    process.awaits("a.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_in_time_with_another_key_whatever_its_life() {
    for life in [Duration::from_mins(6), Duration::from_hours(6 * 24)] {
        let world = World::new();
        world.ca.lifetime(life);
        let process = world.start(&["a.test"]).await;
        process.awaits("a.test").await;
        let first = process.store.find("a.test").unwrap();
        let two = Duration::from_secs(2);
        world.clock.advance((life / 3 * 2).saturating_sub(two));
        settle().await;
        assert_eq!(world.ca.count("newOrder"), 1, "{life:?}: not before two thirds");
        world.clock.advance(life / 30 + two);
        let renewed = async || process.store.find("a.test").unwrap().cert != first.cert;
        until("another certificate", renewed).await;
        assert_eq!(world.ca.count("newOrder"), 2, "{life:?}");
        let second = process.store.find("a.test").unwrap();
        let keys = [&first, &second].map(|pair| pair.key.public_key().unwrap().to_vec());
        assert_ne!(keys[0], keys[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_stays_to_its_end_while_renewals_fail() {
    let world = World::new();
    let process = world.start(&["a.test"]).await;
    process.awaits("a.test").await;
    world.ca.validation("a.test", Validation::Fail);
    for _ in 0..8 {
        world.clock.advance(Duration::from_mins(10));
        settle_short().await;
        assert!(process.serves("a.test"));
    }
    assert!(world.events("failed", "a.test") >= 1);
    world.ca.validation("a.test", Validation::Pass);
    world.clock.advance(Duration::from_hours(2));
    until("it is issued again", async || world.events("issued", "a.test") == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_of_the_authority_decides_and_the_order_says_what_it_replaces() {
    let world = World::new();
    let start = world.clock.now();
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    world.ca.renewal_window(Some((at(2_000), at(3_000), 600)));
    let process = world.start(&["a.test"]).await;
    process.awaits("a.test").await;
    until("it is asked", async || world.ca.count("renewalInfo") == 1).await;
    world.clock.advance(Duration::from_secs(590));
    settle().await;
    assert_eq!(world.ca.count("renewalInfo"), 1, "not before Retry-After");
    // The authority is in a hurry: a window that began is now.
    world.ca.renewal_window(Some((at(100), at(200), 600)));
    world.clock.advance(Duration::from_secs(11));
    until("it is renewed", async || world.events("issued", "a.test") == 2).await;
    assert_eq!(world.ca.replaced().len(), 1);
    // It says the same of the new one: that is no reason to order without end.
    until("it is asked again", async || world.ca.count("renewalInfo") == 3).await;
    settle().await;
    assert_eq!(world.ca.count("newOrder"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_the_name_is_never_served() {
    let world = World::new();
    world.ca.issue_for(Some("other.test"));
    let process = world.start(&["a.test"]).await;
    until("a failure", async || world.events("failed", "a.test") == 1).await;
    assert!(!process.serves("a.test") && !process.serves("other.test"));
    assert!(world.durable.list(Kind::Certificate).await.unwrap().is_empty());
    let record = world.record("a.test").await;
    assert!(record.last_error.unwrap().contains("not for a.test"));
    assert!(record.order.is_none());
    world.ca.issue_for(None);
    world.clock.advance(Duration::from_secs(30));
    process.awaits("a.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_that_are_refused_are_no_failure() {
    let world = World::new();
    world.ca.reject_nonces(2);
    world.start(&["a.test"]).await.awaits("a.test").await;
    assert_eq!(world.events("failed", "a.test"), 0);
    assert_eq!(world.ca.contacts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_gone_on_with_after_an_end_at_any_moment() {
    for moment in ["challenge", "order", "finalize", "certificate"] {
        let world = World::new();
        world.ca.processing(Duration::from_secs(1));
        world.ca.refuse(moment, None, Refusal::unavailable(None));
        let first = world.start(&["a.test"]).await;
        until(moment, async || {
            world.clock.advance(Duration::from_millis(50));
            world.ca.count(moment) >= 1
        })
        .await;
        first.ends().await;
        world.ca.accept(moment, None);
        world.clock.advance(Duration::from_secs(30));
        let second = world.start(&["a.test"]).await;
        until(moment, async || {
            world.clock.advance(Duration::from_millis(50));
            second.serves("a.test")
        })
        .await;
        assert_eq!(world.ca.count("newOrder"), 1, "{moment}");
        assert_eq!(world.ca.count("newAccount"), 1, "{moment}");
        assert_eq!(world.answers().await, 0, "{moment}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_died_after_it_kept_the_certificate_orders_no_other() {
    let world = World::new();
    let first = world.start(&["a.test"]).await;
    until("the key is written down", async || {
        world.record("a.test").await.order.is_some_and(|order| order.key.is_some())
            || first.serves("a.test")
    })
    .await;
    first.awaits("a.test").await;
    first.ends().await;
    // As if the last write had not come about.
    let kept = world.durable.get(Kind::Certificate, "a.test").await.unwrap().unwrap();
    let kept = record::CertificateRecord::read("a.test", &kept).unwrap();
    let order = OrderRecord {
        url: format!("{}/x", world.ca.directory()),
        asked_at: None,
        key: Some(kept.key),
    };
    world.clock.advance(Duration::from_secs(10));
    let old = NameRecord {
        order: Some(order),
        renew_at: Some(Moment(world.clock.now())),
        ..world.record("a.test").await
    };
    old.save(&*world.durable, "a.test").await.unwrap();
    let second = world.start(&["a.test"]).await;
    until("it is written down now", async || world.record("a.test").await.order.is_none()).await;
    settle().await;
    assert!(second.serves("a.test"));
    assert_eq!(world.ca.count("newOrder"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_forgot_an_order_gets_another() {
    let world = World::new();
    world.ca.validation("a.test", Validation::Never);
    let first = world.start(&["a.test"]).await;
    until("it waits", async || world.ca.count("authz") >= 3).await;
    assert_eq!(world.answers().await, 1, "the answer is there meanwhile");
    first.ends().await;
    assert_eq!(world.answers().await, 1, "and left for whoever goes on");
    let mut record = world.record("a.test").await;
    record.order.as_mut().unwrap().url = world.ca.directory().replace("directory", "order/99");
    record.save(&*world.durable, "a.test").await.unwrap();
    world.ca.validation("a.test", Validation::Pass);
    let second = world.start(&["a.test"]).await;
    until("it is given up", async || world.events("failed", "a.test") == 1).await;
    world.clock.advance(Duration::from_secs(30));
    second.awaits("a.test").await;
    assert_eq!(world.ca.count("newOrder"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_forgot_the_account_gets_it_again() {
    let world = World::new();
    let first = world.start(&["a.test"]).await;
    first.awaits("a.test").await;
    world.ca.forget();
    let second = world.start(&["a.test", "b.test"]).await;
    until("b.test fails once", async || world.events("failed", "b.test") == 1).await;
    world.clock.advance(Duration::from_secs(30));
    second.awaits("b.test").await;
    assert_eq!(world.ca.contacts(), [["mailto:ops@example.test"]]);
    let keys = world.durable.list(Kind::AcmeAccount).await.unwrap();
    assert_eq!(keys.len(), 2, "the account and its one key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_told_of_once_and_holds_nobody_else_up() {
    let world = World::new();
    world.durable.put(Kind::AcmeOrder, "a.test", &Secret::new("no record")).await.unwrap();
    let process = world.start(&["a.test", "b.test"]).await;
    process.awaits("b.test").await;
    until("it is told", async || world.events("held up", "a.test") == 1).await;
    settle().await;
    assert_eq!(world.events("held up", "a.test"), 1);
    assert_eq!(world.events("held up", "b.test"), 0);
    world.durable.remove(Kind::AcmeOrder, "a.test").await.unwrap();
    process.awaits("a.test").await;
    until("it is free", async || world.events("free", "a.test") == 2).await;
    // Told by one task and mended before the next: nobody may go on to say it.
    world.durable.put(Kind::AcmeOrder, "b.test", &Secret::new("no record")).await.unwrap();
    until("it is told", async || world.events("held up", "b.test") == 1).await;
    world.durable.remove(Kind::AcmeOrder, "b.test").await.unwrap();
    let before = world.events("free", "b.test");
    let settings = AcmeSettings { contact: Vec::new(), ..world.settings() };
    process.acme.update(Some(world.plan(&["a.test", "b.test"], settings))).await;
    until("it is free", async || world.events("free", "b.test") > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_the_middle_of_an_order_leaves_its_answer() {
    let world = World::new();
    world.ca.validation("a.test", Validation::Never);
    let process = world.start(&["a.test"]).await;
    until("it waits", async || world.ca.count("authz") >= 3).await;
    let settings = AcmeSettings { contact: Vec::new(), ..world.settings() };
    let asked = world.ca.count("authz");
    process.acme.update(Some(world.plan(&["a.test"], settings))).await;
    until("it is gone on with", async || world.ca.count("authz") >= asked + 3).await;
    assert_eq!(world.answers().await, 1);
    assert_eq!((world.ca.count("newOrder"), world.ca.count("challenge")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_never_come_to_an_end_hold_nobody_up_for_long() {
    let world = World::new();
    let stuck: Vec<String> = (0..70).map(|n| format!("stuck{n}.test")).collect();
    for name in &stuck {
        world.ca.validation(name, Validation::Never);
    }
    let mut names: Vec<&str> = stuck.iter().map(String::as_str).collect();
    names.push("z.test");
    let process = world.start(&names).await;
    until("z.test is served", async || {
        world.clock.advance(Duration::from_secs(1));
        process.serves("z.test")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stays_over_an_orderly_end_and_goes_with_its_name() {
    let world = World::new();
    world.ca.validation("a.test", Validation::Never);
    let first = world.start(&["a.test"]).await;
    until("it waits", async || world.ca.count("authz") >= 3).await;
    first.ends().await;
    assert_eq!(world.answers().await, 1);
    let second = world.start(&["a.test"]).await;
    until("it waits again", async || world.ca.count("authz") >= 6).await;
    second.acme.update(Some(world.plan(&["b.test"], world.settings()))).await;
    until("the answer is gone", async || world.answers().await == 0).await;
    assert_eq!(world.ca.count_for("newOrder", "a.test"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_right_after_an_order_was_placed_means_no_second_one() {
    let world = World::new();
    world.ca.delay("authz", Duration::from_secs(2));
    let first = world.start(&["a.test"]).await;
    until("the authorization is asked for", async || world.ca.count("authz") >= 1).await;
    first.acme.is_killed().await;
    world.ca.delay("authz", Duration::ZERO);
    world.clock.advance(Duration::from_secs(20));
    world.start(&["a.test"]).await.awaits("a.test").await;
    assert_eq!(world.ca.count("newOrder"), 1);
}

#[test]
fn who_comes_back_to_a_directory_finds_its_bound_as_it_was() {
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let asked = vec![Moment(now)];
    let first = NameRecord {
        directory: "https://a.test/d".to_owned(),
        validations: asked.clone(),
        failures: 4,
        ..NameRecord::default()
    };
    let moved = first.clone().moved_to("https://b.test/d", now);
    assert_eq!((moved.validations.len(), moved.failures), (0, 0), "another authority");
    let back = moved.clone().moved_to("https://a.test/d", now);
    assert_eq!((back.validations, back.validations_elsewhere.len()), (asked, 0));
    let later = now.plus(HOUR);
    let forgotten = moved.moved_to("https://c.test/d", later);
    assert!(forgotten.validations_elsewhere.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_while_its_account_is_made_finds_the_same_one() {
    let world = World::new();
    // Made, and nobody hears of it.
    world.ca.delay("newAccount", Duration::from_secs(2));
    let first = world.start(&["a.test"]).await;
    until("an account", async || world.ca.contacts().len() == 1).await;
    first.acme.is_killed().await;
    world.ca.delay("newAccount", Duration::ZERO);
    world.clock.advance(Duration::from_secs(20));
    let second = world.start(&["a.test"]).await;
    second.awaits("a.test").await;
    assert_eq!(world.ca.contacts(), [["mailto:ops@example.test"]], "one account");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_and_removes_names_and_another_directory_means_new_certificates() {
    let world = World::new();
    let process = world.start(&["a.test"]).await;
    process.awaits("a.test").await;
    let plan = world.plan(&["b.test"], world.settings());
    let store = plan.store.clone();
    process.acme.update(Some(plan)).await;
    until("b.test", async || store.find("b.test").is_some()).await;
    assert_eq!(world.ca.count_for("newOrder", "a.test"), 1);
    let other = FakeCa::start_at(world.clock.clone());
    let settings = AcmeSettings {
        directory: other.directory(),
        trust_pem: Some(other.trust_pem().as_bytes().to_vec()),
        ..world.settings()
    };
    let plan = world.plan(&["b.test"], settings);
    let store = plan.store.clone();
    process.acme.update(Some(plan)).await;
    assert!(store.find("b.test").is_some(), "the old one serves until then");
    until("the other one issues", async || other.count("certificate") == 1).await;
    assert_eq!(other.count("newAccount"), 1);
    process.acme.update(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_shown_is_a_failure_of_its_name() {
    let world = World::new();
    let process = world.start(&["*.unsolved.test", "*.solved.test"]).await;
    process.awaits("x.solved.test").await;
    until("a failure", async || world.events("failed", "*.unsolved.test") == 1).await;
    assert!(world.record("*.unsolved.test").await.last_error.unwrap().contains("no such zone"));
    assert_eq!(world.ca.count_for("challenge", "*.unsolved.test"), 0);
}
