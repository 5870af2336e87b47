//! The store as several processes and an operator with mishaps see it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::{fs, thread};

use portcullis_core::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{MemoryDurable, StateError, StateFolder};

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn key(fill: u8) -> EncryptionKey {
    let bytes: Vec<u8> = (0..32).map(|n| n ^ fill).collect();
    EncryptionKey::new(&Secret::new(bytes)).unwrap()
}

/// A folder, and where a store may stand in it.
fn place() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("state.db");
    (root, file)
}

fn store(file: &Path) -> SqliteDurable {
    SqliteDurable::open(file, key(0), Clock::system()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

/// Another connection, as somebody else at the file would have one.
fn stranger(file: &Path) -> Connection {
    Connection::open(file).unwrap()
}

#[tokio::test]
async fn records_outlive_the_process_and_stand_on_their_shelf() {
    let (_root, file) = place();
    let first = store(&file);
    first.put(Kind::AcmeAccount, "https://ca.test/", &secret("account")).await.unwrap();
    first.put(Kind::Certificate, "b.test", &secret("one")).await.unwrap();
    first.put(Kind::Certificate, "b.test", &secret("two")).await.unwrap();
    first.put(Kind::Certificate, "a.test", &secret("")).await.unwrap();
    drop(first);
    let again = store(&file);
    let all = again.list(Kind::Certificate).await.unwrap();
    let expected = [("a.test".to_owned(), secret("")), ("b.test".to_owned(), secret("two"))];
    assert_eq!(all, expected);
    assert_eq!(again.get(Kind::SigningKey, "b.test").await.unwrap(), None);
    again.remove(Kind::Certificate, "b.test").await.unwrap();
    again.remove(Kind::Certificate, "b.test").await.unwrap();
    assert_eq!(again.get(Kind::Certificate, "b.test").await.unwrap(), None);
    let kept = again.put_first(Kind::AcmeAccount, "https://ca.test/", &secret("other")).await;
    assert_eq!(kept, Ok(secret("account")));
}

#[tokio::test]
async fn whoever_asks_does_not_wait_for_whoever_writes() {
    let (_root, file) = place();
    let store = store(&file);
    store.put(Kind::Revocation, "a", &secret("one")).await.unwrap();
    let before = store.version(Kind::Revocation).await.unwrap();
    let holder = stranger(&file);
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let writer = store.clone();
    let late = tokio::spawn(async move { writer.put(Kind::Revocation, "b", &secret("two")).await });
    // It has the connection for writing in hand, and waits for the other process.
    while store.0.writer.try_lock().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.version(Kind::Revocation).await, Ok(before));
    assert_eq!(store.get(Kind::Revocation, "a").await, Ok(Some(secret("one"))));
    assert_eq!(store.list(Kind::Revocation).await.unwrap().len(), 1);
    assert!(!late.is_finished(), "nobody waited for it");
    holder.execute_batch("ROLLBACK").unwrap();
    late.await.unwrap().unwrap();
    assert!(store.version(Kind::Revocation).await.unwrap() > before);
    assert_eq!(store.get(Kind::Revocation, "b").await, Ok(Some(secret("two"))));
}

/// Nothing is told of a store that is not the one that was opened, and nothing is kept in it.
async fn is_missed(store: &SqliteDurable, what: &str) {
    let told = |error: DurableError| {
        assert!(error.to_string().contains("was removed or replaced"), "{what}: {error}");
    };
    told(store.version(Kind::Revocation).await.unwrap_err());
    told(store.list(Kind::Revocation).await.unwrap_err());
    told(store.get(Kind::Revocation, "a").await.unwrap_err());
    told(store.put(Kind::Revocation, "b", &secret("two")).await.unwrap_err());
    told(store.put_first(Kind::Revocation, "b", &secret("two")).await.unwrap_err());
    told(store.remove(Kind::Revocation, "a").await.unwrap_err());
    told(store.lease("l", "h", Duration::from_secs(1)).await.unwrap_err());
    told(store.release("l", "h").await.unwrap_err());
}

#[tokio::test]
async fn a_store_that_is_removed_or_replaced_is_missed() {
    for suffix in ["", "-wal", "-shm"] {
        let (root, file) = place();
        let store = store(&file);
        store.put(Kind::Revocation, "a", &secret("one")).await.unwrap();
        let (path, aside) = (format!("{}{suffix}", file.display()), root.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        is_missed(&store, "removed").await;
        fs::copy(&aside, &path).unwrap();
        is_missed(&store, "replaced").await;
        fs::rename(&aside, &path).unwrap();
        assert_eq!(store.get(Kind::Revocation, "a").await, Ok(Some(secret("one"))), "{suffix}");
        store.put(Kind::Revocation, "a", &secret("two")).await.unwrap();
        assert_eq!(store.get(Kind::Revocation, "a").await, Ok(Some(secret("two"))), "{suffix}");
    }
    let (_root, file) = place();
    let nested = file.parent().unwrap().join("nested");
    let store = store(&nested.join("state.db"));
    fs::remove_dir_all(&nested).unwrap();
    is_missed(&store, "the folder").await;
}

#[tokio::test]
async fn a_store_that_goes_while_it_is_written_to_has_kept_nothing() {
    let (_root, file) = place();
    let store = store(&file);
    let path = file.clone();
    let done = store.write(move |_, _| {
        fs::remove_file(&path).unwrap();
        Ok(())
    });
    assert!(matches!(done.await.unwrap(), Err(Failure::Replaced(_))));
}

#[tokio::test]
async fn whoever_asks_cannot_write() {
    let (_root, file) = place();
    let store = store(&file);
    let refused = store.0.reader.lock().execute("DELETE FROM key_check", []).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly), "{refused}");
}

#[tokio::test]
async fn files_are_the_owners_alone_and_show_nothing() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("new/state.db");
    let store = store(&file);
    store.put(Kind::SigningKey, "identity", &secret("hunter2-hunter2")).await.unwrap();
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", file.display());
        assert_eq!(mode(Path::new(&path)), 0o600, "{path}");
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"));
    }
    assert!(!format!("{store:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_over() {
    let (_root, file) = place();
    let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
    let open = || SqliteDurable::open(&file, key(0), clock.clone()).unwrap();
    let (one, two) = (open(), open());
    let term = Duration::from_mins(1);
    assert_eq!(one.lease("order/a.test", "one", term).await, Ok(true));
    assert_eq!(two.lease("order/a.test", "two", term).await, Ok(false));
    assert_eq!(two.lease("order/b.test", "two", term).await, Ok(true), "another lease");
    clock.advance(Duration::from_secs(59));
    assert_eq!(two.lease("order/a.test", "two", term).await, Ok(false));
    assert_eq!(one.lease("order/a.test", "one", term).await, Ok(true), "prolonged");
    clock.advance(Duration::from_secs(59));
    assert_eq!(two.lease("order/a.test", "two", term).await, Ok(false));
    clock.advance(Duration::from_secs(1));
    assert_eq!(two.lease("order/a.test", "two", term).await, Ok(true), "the first died");
    one.release("order/a.test", "one").await.unwrap();
    assert_eq!(one.lease("order/a.test", "one", term).await, Ok(false), "it was not the holder's");
    two.release("order/a.test", "two").await.unwrap();
    assert_eq!(one.lease("order/a.test", "one", term).await, Ok(true));
}

/// One of the processes of the test below: tries for each lease and record.
#[test]
#[ignore = "a part of c38_three_processes_agree_on_one_holder_and_one_record"]
#[expect(clippy::disallowed_methods, reason = "a test tells its own copies what to do")]
fn a_process_of_its_own() {
    let Ok(told) = std::env::var("STATE_TEST") else { return };
    let (file, holder) = told.split_once(' ').unwrap();
    let store = store(Path::new(holder));
    let got = runtime().block_on(async {
        let mut got = String::new();
        for round in 0..40 {
            let (name, term) = (format!("lease {round}"), Duration::from_mins(5));
            let won = store.lease(&name, file, term).await.unwrap();
            let kept = store.put_first(Kind::Challenge, &name, &secret(file)).await.unwrap();
            let kept = kept.expose_str().unwrap().to_owned();
            writeln!(got, "RESULT {round} {won} {kept}").unwrap();
        }
        got
    });
    std::io::stdout().write_all(format!("\n{got}").as_bytes()).unwrap();
}

#[test]
fn c38_three_processes_agree_on_one_holder_and_one_record() {
    let (_root, file) = place();
    let start = |holder: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::tests::a_process_of_its_own", "--ignored", "--nocapture"])
            .env("STATE_TEST", format!("{holder} {}", file.display()))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let all: Vec<_> = ["one", "two", "three"].map(start).into();
    let outputs: Vec<String> = all
        .into_iter()
        .map(|process| process.wait_with_output().unwrap())
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .collect();
    for round in 0..40 {
        let start = format!("RESULT {round} ");
        let lines: Vec<&str> = outputs
            .iter()
            .flat_map(|text| text.lines())
            .filter(|l| l.starts_with(&start))
            .collect();
        assert_eq!(lines.len(), 3, "{outputs:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains(" true ")).count(), 1, "{lines:?}");
        let kept: Vec<_> = lines.iter().map(|line| line.rsplit(' ').next()).collect();
        assert!(kept.iter().all(|one| *one == kept[0]), "{kept:?}");
    }
}

#[test]
fn connections_at_once_lose_nothing() {
    let (_root, file) = place();
    let write = |n: usize| {
        let store = store(&file);
        runtime().block_on(async {
            for round in 0..20 {
                let name = format!("{n}/{round}");
                store.put(Kind::Challenge, &name, &secret(&name)).await.unwrap();
            }
        });
    };
    thread::scope(|scope| {
        for n in 0..6 {
            scope.spawn(move || write(n));
        }
    });
    let all = runtime().block_on(store(&file).list(Kind::Challenge)).unwrap();
    assert_eq!(all.len(), 120);
    assert!(all.iter().all(|(name, value)| value == &secret(name)));
}

#[tokio::test]
async fn another_key_is_told_apart_from_nothing() {
    let (_root, file) = place();
    store(&file).put(Kind::Certificate, "a.test", &secret("x")).await.unwrap();
    let refused = SqliteDurable::open(&file, key(1), Clock::system());
    assert!(matches!(refused, Err(OpenError::OtherKey { .. })), "{refused:?}");
    let refused = SqliteDurable::open_existing(&file, key(1), Clock::system());
    assert!(matches!(refused, Err(OpenError::OtherKey { .. })), "{refused:?}");
    // Even one that has got past the door opens no record.
    let connection = open::open(&file, &key(0)).unwrap();
    let wrong = SqliteDurable::with(connection, &file, key(1), Clock::system());
    let (kind, name) = (Kind::Certificate, "a.test".to_owned());
    let sealed = DurableError::Sealed { kind, key: name.clone() };
    assert_eq!(wrong.get(kind, &name).await, Err(sealed.clone()));
    assert_eq!(wrong.list(kind).await, Err(sealed.clone()));
    assert_eq!(wrong.put_first(kind, &name, &secret("y")).await, Err(sealed));
    assert_eq!(store(&file).get(kind, &name).await, Ok(Some(secret("x"))), "and replaces none");
}

#[tokio::test]
async fn a_record_that_was_changed_or_moved_does_not_open() {
    let (_root, file) = place();
    let store = store(&file);
    let sealed = |kind, key: &str| Err(DurableError::Sealed { kind, key: key.to_owned() });
    for name in ["a.test", "b.test"] {
        store.put(Kind::Certificate, name, &secret(name)).await.unwrap();
    }
    let hand = stranger(&file);
    let swap = "UPDATE records SET sealed = (SELECT sealed FROM records WHERE key = 'a.test') \
                WHERE key = 'b.test'";
    assert_eq!(hand.execute(swap, []).unwrap(), 1);
    assert_eq!(store.get(Kind::Certificate, "b.test").await, sealed(Kind::Certificate, "b.test"));
    let shelf = "UPDATE records SET kind = 'signing-key' WHERE key = 'a.test'";
    assert_eq!(hand.execute(shelf, []).unwrap(), 1);
    assert_eq!(store.get(Kind::SigningKey, "a.test").await, sealed(Kind::SigningKey, "a.test"));
    let changes = ["x''", "x'01'", "substr(sealed, 1, length(sealed) - 1)", "zeroblob(40)"];
    for change in changes {
        store.put(Kind::Challenge, "t", &secret("t")).await.unwrap();
        assert_eq!(store.get(Kind::Challenge, "t").await, Ok(Some(secret("t"))));
        let change = format!("UPDATE records SET sealed = {change} WHERE key = 't'");
        assert_eq!(hand.execute(&change, []).unwrap(), 1);
        assert_eq!(store.get(Kind::Challenge, "t").await, sealed(Kind::Challenge, "t"), "{change}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_what_was_kept_stays() {
    let (_root, file) = place();
    let store = store(&file);
    store.put(Kind::Certificate, "a.test", &secret("kept")).await.unwrap();
    let pages: i64 = {
        let connection = store.0.writer.lock();
        let pages = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages).unwrap();
        pages
    };
    assert!(pages > 0);
    let large = Secret::new(vec![b'x'; 100_000]);
    let full = store.put(Kind::Certificate, "a.test", &large).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    let first = store.put_first(Kind::Certificate, "b.test", &large).await.unwrap_err();
    assert!(matches!(first, DurableError::Unavailable { .. }), "{first}");
    assert_eq!(store.get(Kind::Certificate, "a.test").await, Ok(Some(secret("kept"))));
    assert_eq!(store.get(Kind::Certificate, "b.test").await, Ok(None));
}

#[tokio::test]
async fn a_store_that_cannot_be_written_to_is_told() {
    let (_root, file) = place();
    let store = store(&file);
    store.0.writer.lock().pragma_update(None, "query_only", "ON").unwrap();
    let error = store.put(Kind::Challenge, "t", &secret("t")).await.unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
    let error = store.lease("l", "h", Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, DurableError::Unavailable { .. }));
    let nowhere = Path::new("/proc/portcullis/state.db");
    let refused = SqliteDurable::open(nowhere, key(0), Clock::system());
    assert!(matches!(refused, Err(OpenError::State(StateError::Io { .. }))), "{refused:?}");
}

#[test]
fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    let (root, file) = place();
    let text = "no database at all, ".repeat(100);
    fs::write(&file, &text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = SqliteDurable::open(&file, key(0), Clock::system());
    assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let other = root.path().join("other.db");
    stranger(&other).execute_batch("CREATE TABLE mine (x)").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = SqliteDurable::open(&other, key(0), Clock::system());
    assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    let refused = SqliteDurable::open(root.path(), key(0), Clock::system());
    assert!(matches!(refused, Err(OpenError::State(_))), "a folder: {refused:?}");
    let link = root.path().join("link.db");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    let refused = SqliteDurable::open(&link, key(0), Clock::system());
    assert!(matches!(refused, Err(OpenError::State(_))), "a link: {refused:?}");
}

#[test]
fn a_later_version_is_refused() {
    let (_root, file) = place();
    drop(store(&file));
    stranger(&file).pragma_update(None, "user_version", 3).unwrap();
    let refused = SqliteDurable::open(&file, key(0), Clock::system()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 3, .. }), "{refused:?}");
    assert!(refused.to_string().contains("later version"), "{refused}");
}

#[tokio::test]
async fn each_change_of_a_shelf_is_counted_whoever_made_it() {
    let (_root, file) = place();
    let (one, other) = (store(&file), store(&file));
    let version = async || one.version(Kind::Revocation).await.unwrap();
    let mut last = version().await;
    let mut grown = async |why: &str| {
        let now = version().await;
        assert!(now > last, "{why}");
        last = now;
    };
    let value = Secret::new("v");
    other.put(Kind::Revocation, "a", &value).await.unwrap();
    grown("added").await;
    one.put(Kind::Revocation, "a", &value).await.unwrap();
    grown("changed").await;
    one.put_first(Kind::Revocation, "b", &value).await.unwrap();
    grown("added once").await;
    other.remove(Kind::Revocation, "a").await.unwrap();
    grown("removed").await;
    let before = version().await;
    one.put_first(Kind::Revocation, "b", &value).await.unwrap();
    one.remove(Kind::Revocation, "never").await.unwrap();
    other.put(Kind::ApiKey, "a", &value).await.unwrap();
    other.lease("l", "h", Duration::from_secs(9)).await.unwrap();
    assert_eq!(version().await, before);
}

#[tokio::test]
async fn a_store_of_the_first_version_is_taken_over() {
    let (_root, file) = place();
    let old = store(&file);
    old.put(Kind::ApiKey, "a", &Secret::new("v")).await.unwrap();
    drop(old);
    let stranger = stranger(&file);
    for trigger in ["record_added", "record_changed", "record_removed"] {
        stranger.execute(&format!("DROP TRIGGER {trigger}"), []).unwrap();
    }
    stranger.execute("DROP TABLE shelf_changes", []).unwrap();
    stranger.pragma_update(None, "user_version", 1).unwrap();
    let looked = SqliteDurable::open_existing(&file, key(0), Clock::system()).unwrap().unwrap();
    assert_eq!(looked.version(Kind::ApiKey).await, Ok(0), "it is only looked at");
    drop(looked);
    let new = store(&file);
    assert_eq!(new.get(Kind::ApiKey, "a").await.unwrap(), Some(Secret::new("v")));
    new.put(Kind::ApiKey, "b", &Secret::new("w")).await.unwrap();
    assert!(new.version(Kind::ApiKey).await.unwrap() > 0);
    drop(store(&file));
}

#[test]
fn a_file_or_folder_open_to_others_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state");
    let file = folder.join("state.db");
    let open = || SqliteDurable::open(&file, key(0), Clock::system());
    let kept = open().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{suffix}", file.display()));
        for bits in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            let refused = open();
            let is_told = matches!(
                &refused,
                Err(OpenError::State(StateError::OpenToOthers { mode, path: told }))
                    if *mode == bits && told.file_name() == path.file_name()
            );
            assert!(is_told, "{refused:?}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = open();
    assert!(matches!(refused, Err(OpenError::State(StateError::OpenToOthers { .. }))));
    drop(kept);
}

#[test]
fn a_look_makes_nothing() {
    let (root, file) = place();
    let look = || SqliteDurable::open_existing(&file, key(0), Clock::system());
    assert!(look().unwrap().is_none());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    drop(store(&file));
    assert!(look().unwrap().is_some());
}

#[test]
fn a_key_is_made_once_and_a_lost_one_is_missed() {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(root.path().join("state")).unwrap();
    let file = folder.path().join("state.db");
    let open =
        || made_key(&folder, &file).and_then(|k| SqliteDurable::open(&file, k, Clock::system()));
    drop(open().unwrap());
    drop(open().unwrap());
    let kept = folder.path().join("state.key");
    assert_eq!(mode(&kept), 0o600);
    let text = fs::read(&kept).unwrap();
    fs::remove_file(&kept).unwrap();
    let lost = open().unwrap_err();
    assert!(matches!(lost, OpenError::LostKey { .. }), "{lost:?}");
    assert!(!kept.exists(), "none is made in its place");
    fs::write(&kept, "short").unwrap();
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(open(), Err(OpenError::WeakKey { .. })));
    fs::write(&kept, text).unwrap();
    open().unwrap();
}

#[test]
fn starters_at_once_make_one_key_and_one_store() {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(root.path().join("state")).unwrap();
    let file = folder.path().join("state.db");
    let barrier = std::sync::Barrier::new(8);
    let start = || {
        barrier.wait();
        let key = made_key(&folder, &file).unwrap();
        SqliteDurable::open(&file, key, Clock::system()).unwrap();
    };
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(start))));
    made_key(&folder, &file).and_then(|k| SqliteDurable::open(&file, k, Clock::system())).unwrap();
}

/// What a test does to a store.
#[derive(Clone, Debug)]
enum Step {
    Put(Kind, String, Vec<u8>),
    PutFirst(Kind, String, Vec<u8>),
    Remove(Kind, String),
    Lease(String, String, u8),
    Release(String, String),
    Wait(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = || prop::sample::select(vec![Kind::Certificate, Kind::Challenge]);
    let name = || "[abA\u{e9}']{0,2}";
    let value = || prop::collection::vec(any::<u8>(), 0..4);
    let step = prop_oneof![
        (kind(), name(), value()).prop_map(|(k, n, v)| Step::Put(k, n, v)),
        (kind(), name(), value()).prop_map(|(k, n, v)| Step::PutFirst(k, n, v)),
        (kind(), name()).prop_map(|(k, n)| Step::Remove(k, n)),
        ("[ab]", "[xy]", 1_u8..5).prop_map(|(n, h, t)| Step::Lease(n, h, t)),
        ("[ab]", "[xy]").prop_map(|(n, h)| Step::Release(n, h)),
        (1_u8..5).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..30)
}

/// What came of a step, to be compared.
async fn done(store: &dyn Durable, step: &Step) -> String {
    match step {
        Step::Put(kind, name, value) => {
            format!("{:?}", store.put(*kind, name, &Secret::new(value.clone())).await)
        }
        Step::PutFirst(kind, name, value) => {
            let kept = store.put_first(*kind, name, &Secret::new(value.clone())).await;
            format!("{:?}", kept.map(|kept| kept.expose().to_vec()))
        }
        Step::Remove(kind, name) => format!("{:?}", store.remove(*kind, name).await),
        Step::Lease(name, holder, term) => {
            let term = Duration::from_secs(u64::from(*term));
            format!("{:?}", store.lease(name, holder, term).await)
        }
        Step::Release(name, holder) => format!("{:?}", store.release(name, holder).await),
        Step::Wait(_) => String::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn it_behaves_as_memory_does(steps in steps()) {
        let (_root, file) = place();
        let clock = Clock::manual(Timestamp::from_unix_seconds(1_800_000_000));
        let disk: Arc<dyn Durable> =
            Arc::new(SqliteDurable::open(&file, key(0), clock.clone()).unwrap());
        let memory: Arc<dyn Durable> = Arc::new(MemoryDurable::new(clock.clone()));
        runtime().block_on(async {
            for step in &steps {
                if let Step::Wait(seconds) = step {
                    clock.advance(Duration::from_secs(u64::from(*seconds)));
                }
                let (on_disk, in_memory) = (done(&*disk, step).await, done(&*memory, step).await);
                assert_eq!(on_disk, in_memory, "{step:?} of {steps:?}");
            }
            for kind in [Kind::Certificate, Kind::Challenge, Kind::SigningKey] {
                assert_eq!(disk.list(kind).await, memory.list(kind).await);
            }
        });
    }
}
