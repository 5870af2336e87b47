//! Names and stores against models of them that are too simple to be wrong.

use std::fs;
use std::sync::LazyLock;

use portcullis_core::{Clock, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::{CertificateSources, CertificateStore, CertifiedPair, FilePair, NameTable};

/// Names of few labels, so that they meet.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![Just("a"), Just("b"), Just("A"), Just("xn--a"), Just("test")];
    (vec(label, 1..4), any::<bool>())
        .prop_map(|(labels, dot)| labels.join(".") + if dot { "." } else { "" })
}

fn entry() -> impl Strategy<Value = String> {
    (any::<bool>(), name()).prop_map(|(wild, name)| if wild { format!("*.{name}") } else { name })
}

/// What RFC 6125 §6.4 says, word by word.
fn matches(entry: &str, name: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('.').to_lowercase();
    let (entry, name) = (plain(entry), plain(name));
    let (entry, name): (Vec<&str>, Vec<&str>) =
        (entry.split('.').collect(), name.split('.').collect());
    match entry.split_first() {
        Some((&"*", parent)) => name.len() == entry.len() && name[1..] == *parent,
        _ => entry == name,
    }
}

proptest! {
    #[test]
    fn a_table_of_names_is_a_list_read_twice(entries in vec(entry(), 0..8), name in name()) {
        let mut table = NameTable::default();
        for (place, entry) in entries.iter().enumerate() {
            table.insert(entry, place);
        }
        let first = |wild: bool| {
            entries.iter().position(|it| it.starts_with('*') == wild && matches(it, &name))
        };
        prop_assert_eq!(table.find(&name).copied(), first(false).or_else(|| first(true)));
    }

    #[test]
    fn anything_can_be_looked_up(entries in vec(any::<String>(), 0..4), name in any::<String>()) {
        let mut table = NameTable::default();
        for entry in &entries {
            table.insert(entry, ());
        }
        for name in entries.iter().chain([&name]) {
            table.find(name);
            table.covers(name);
        }
    }

    #[test]
    fn anything_may_stand_in_a_file(chain in any::<Vec<u8>>(), key in any::<Vec<u8>>(), n in 0..4usize) {
        let now = clock().now();
        prop_assert!(CertifiedPair::from_pem(&chain, &key, now).is_err());
        let (good, good_key) = &PAIRS[n];
        prop_assert!(CertifiedPair::from_pem(good.as_bytes(), &key, now).is_err());
        prop_assert!(CertifiedPair::from_pem(&chain, good_key.as_bytes(), now).is_err());
    }

    #[test]
    fn a_file_with_one_byte_changed_is_the_same_or_refused(n in 0..4usize, at in 0..2000usize, bit in 0..8u8) {
        let (chain, key) = &PAIRS[n];
        let mut changed = chain.clone().into_bytes();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        if let Ok(pair) = CertifiedPair::from_pem(&changed, key.as_bytes(), clock().now()) {
            // A signature is for clients to check; the key and what is served with it agree.
            prop_assert!(pair.certified_key().keys_match().is_ok());
            prop_assert!(!pair.names().is_empty());
        }
    }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_seconds(1_700_000_000))
}

/// Pairs for `a.test`, in PEM.
static PAIRS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let make = || {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    (0..4).map(|_| make()).collect()
});

/// What somebody does to the files.
#[derive(Clone, Debug)]
enum Step {
    Chain(usize),
    HalfChain(usize),
    Key(usize),
    HalfKey(usize),
    NoChain,
    NoKey,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4usize).prop_map(Step::Chain),
        4 => (0..4usize).prop_map(Step::Key),
        1 => (0..4usize).prop_map(Step::HalfChain),
        1 => (0..4usize).prop_map(Step::HalfKey),
        1 => Just(Step::NoChain),
        1 => Just(Step::NoKey),
    ]
}

/// Which whole chain and key stand in the files.
type Standing = (Option<usize>, Option<usize>);

fn take(step: &Step, files: &FilePair, (chain, key): &mut Standing) {
    let half = |text: &String| text[..text.len() / 2].to_owned();
    let write = |path, text: &String| fs::write(path, text).unwrap();
    match *step {
        Step::Chain(n) => (write(&files.certificate, &PAIRS[n].0), *chain = Some(n)).1,
        Step::Key(n) => (write(&files.key, &PAIRS[n].1), *key = Some(n)).1,
        Step::HalfChain(n) => (write(&files.certificate, &half(&PAIRS[n].0)), *chain = None).1,
        Step::HalfKey(n) => (write(&files.key, &half(&PAIRS[n].1)), *key = None).1,
        Step::NoChain => (drop(fs::remove_file(&files.certificate)), *chain = None).1,
        Step::NoKey => (drop(fs::remove_file(&files.key)), *key = None).1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_last_pair_that_was_whole_is_served(steps in vec(step(), 1..24)) {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = FilePair { certificate: path("crt"), key: path("key") };
        let mut standing = (None, None);
        for step in [Step::Chain(0), Step::Key(0)] {
            take(&step, &files, &mut standing);
        }
        let sources = CertificateSources { files: vec![files.clone()], ..Default::default() };
        let store = CertificateStore::open(&sources, None, clock()).unwrap();
        let (mut served, mut was_good) = (0, true);
        for step in &steps {
            take(step, &files, &mut standing);
            let report = store.reload_files();
            let good = standing.0.filter(|chain| Some(*chain) == standing.1);
            prop_assert_eq!(report.replaced, usize::from(good.is_some_and(|it| it != served)));
            served = good.unwrap_or(served);
            let der = CertifiedPair::from_pem(
                PAIRS[served].0.as_bytes(),
                PAIRS[served].1.as_bytes(),
                clock().now(),
            );
            let wanted = der.unwrap().certified_key().cert.clone();
            prop_assert_eq!(&store.find("a.test").unwrap().cert, &wanted);
            let error = &store.status()[0].last_error;
            prop_assert_eq!(error.is_none(), good.is_some(), "{:?}", error);
            // What is refused is told of, and what stays refused is not told of again.
            prop_assert!(!(was_good && good.is_none()) || report.failed.len() == 1);
            prop_assert_eq!(store.reload_files().failed, Vec::new());
            was_good = good.is_some();
        }
    }
}
