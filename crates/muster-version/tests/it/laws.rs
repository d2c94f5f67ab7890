//! The laws of an order, and of keys, on random texts and on texts close to versions.

use core::cmp::Ordering;

use muster_version::Scheme;
use proptest::prelude::*;

use crate::generate::{Random, version};

fn key(scheme: Scheme, text: &str) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    scheme.write_key(text, &mut key)?;
    Some(key)
}

fn check_pair(scheme: Scheme, a: &str, b: &str) {
    let lenient = scheme.compare_lenient(a, b);
    assert_eq!(lenient, scheme.compare_lenient(b, a).reverse(), "{scheme}: {a:?} and {b:?} turned");
    assert_eq!(scheme.compare_lenient(a, a), Ordering::Equal, "{scheme}: {a:?} and itself");
    let strict = scheme.compare(a, b);
    if let Some(strict) = strict {
        assert_eq!(strict, lenient, "{scheme}: {a:?} and {b:?}, strict and lenient");
    }
    match (key(scheme, a), key(scheme, b)) {
        (Some(left), Some(right)) => {
            assert!(scheme.is_valid(a) && scheme.is_valid(b));
            assert_eq!(left.cmp(&right), lenient, "{scheme}: keys of {a:?} and {b:?}");
            if strict.is_none() {
                // Only two branches of Composer are versions without an order.
                let below_numbers = |text| scheme.compare(text, "0-dev") == Some(Ordering::Less);
                let has_branches = matches!(scheme, Scheme::Composer | Scheme::ComposerLetters);
                assert!(has_branches, "{scheme}: {a:?} {b:?}");
                assert!(below_numbers(a) && below_numbers(b), "{a:?} {b:?}");
            }
        }
        (left, right) => {
            assert_eq!(strict, None, "{scheme}: {a:?} and {b:?} without a key");
            assert_eq!((left.is_some(), right.is_some()), (scheme.is_valid(a), scheme.is_valid(b)));
        }
    }
}

fn check_three(scheme: Scheme, mut three: [&str; 3]) {
    // Sorted by one law, every pair must follow: that is what transitive means.
    three.sort_by(|a, b| scheme.compare_lenient(a, b));
    let [a, b, c] = three;
    let (ab, bc) = (scheme.compare_lenient(a, b), scheme.compare_lenient(b, c));
    assert_ne!(ab, Ordering::Greater, "{scheme}: {a:?} {b:?} {c:?}");
    assert_ne!(bc, Ordering::Greater, "{scheme}: {a:?} {b:?} {c:?}");
    assert_eq!(scheme.compare_lenient(a, c), ab.min(bc), "{scheme}: {a:?} {b:?} {c:?}");
}

fn near_version(scheme: Scheme) -> impl Strategy<Value = String> {
    any::<u64>().prop_map(move |seed| version(scheme, &mut Random::new(seed)))
}

fn any_text(scheme: Scheme) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => near_version(scheme),
        2 => "[0-2a-cv~^+:_.-]{0,8}",
        1 => any::<String>(),
    ]
}

#[test]
fn order_and_keys_follow_their_laws() {
    for scheme in Scheme::ALL.into_iter().chain([Scheme::ComposerLetters]) {
        let config =
            ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) };
        proptest!(config, |(a in any_text(scheme), b in any_text(scheme), c in any_text(scheme))| {
            check_pair(scheme, &a, &b);
            check_pair(scheme, &b, &c);
            check_three(scheme, [&a, &b, &c]);
        });
    }
}

#[test]
fn long_texts_are_compared_in_good_time() {
    for scheme in Scheme::ALL.into_iter().chain([Scheme::ComposerLetters]) {
        for piece in
            ["0", "1", ".", "-", "~", "a", "0.", ".0", "-0", "1.a", "final.", "0-", "a-", "\n", "é"]
        {
            let long = format!("1{}", piece.repeat(50_000));
            let longer = format!("{long}2");
            check_pair(scheme, &long, &longer);
        }
    }
}
