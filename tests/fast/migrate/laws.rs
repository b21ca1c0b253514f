//! Properties of diffing, compiling and replaying, on random catalogs.

use crate::shared::catalogs::catalog;
use chrono::{DateTime, TimeDelta};
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::cron;
use flowsmith_core::diff::diff;
use flowsmith_core::migration::{CompileSettings, Migration, carry_over, compile, replay, verify};
use proptest::prelude::*;

fn settings(version: &str) -> CompileSettings {
    CompileSettings::new(version.parse().expect("a version"))
}

fn migrations(recorded: &Catalog, desired: Catalog, version: &str) -> Vec<Migration> {
    compile(recorded, desired, &settings(version)).expect("compiles").migrations
}

/// A field of a schedule: `*`, a step, a value, a range or a list.
fn field(least: u8, most: u8) -> impl Strategy<Value = String> {
    let value = least..=most;
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => (1..=most).prop_map(|step| format!("*/{step}")),
        2 => value.clone().prop_map(|value| value.to_string()),
        1 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (value.clone(), value).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

fn schedule() -> impl Strategy<Value = String> {
    let day = prop_oneof![4 => field(1, 31), 1 => Just("$".to_owned())];
    (field(0, 59), field(0, 23), day, field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn diff_of_a_catalog_with_itself_is_empty(a in catalog()) {
        prop_assert!(diff(&a, &a).is_empty());
    }

    #[test]
    fn applying_a_diff_gives_the_other_side(a in catalog(), b in catalog()) {
        prop_assert_eq!(diff(&a, &b).apply(&a), b);
    }

    #[test]
    fn canonical_definition_reads_back_unchanged(a in catalog()) {
        for (_, flow) in a.iter() {
            let read = Flow::from_canonical(&flow.to_canonical()).expect("reads back");
            prop_assert_eq!(read.digest(), flow.digest());
            prop_assert_eq!(&Flow { state: flow.state, ..read }, &**flow);
        }
    }

    #[test]
    fn replaying_compiled_migrations_gives_the_desired_catalog(a in catalog(), b in catalog()) {
        let mut folder = migrations(&Catalog::new(), a.clone(), "20260101000000");
        prop_assert_eq!(&replay(&folder).expect("replays"), &a);
        folder.extend(migrations(&a, b.clone(), "20260102000000"));
        let wanted = carry_over(&a, b.clone());
        let recorded = replay(&folder).expect("replays");
        prop_assert_eq!(&recorded, &wanted);
        prop_assert!(migrations(&recorded, b, "20260103000000").is_empty(), "compiling again finds nothing");
    }

    #[test]
    fn schedule_has_a_next_time_if_it_ever_fires(text in schedule(), second in 0..4_000_000_000_i64) {
        let schedule = cron::parse(&text).expect("a schedule");
        let moment = DateTime::from_timestamp(second, 0).expect("a time");
        let next = schedule.next_after(moment);
        prop_assert_eq!(next.is_some(), schedule.fires(), "{}", text);
        if let Some(next) = next {
            prop_assert!(next > moment);
            prop_assert_eq!(schedule.latest_until(next), Some(next));
            prop_assert!(schedule.latest_until(next - TimeDelta::seconds(1)).is_none_or(|latest| latest <= moment), "{}", text);
        }
    }

    #[test]
    fn compiled_migrations_are_deterministic(a in catalog(), b in catalog()) {
        prop_assert_eq!(migrations(&a, b.clone(), "20260101000000"), migrations(&a, b, "20260101000000"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn edited_migration_is_refused_unless_only_its_previous_values_differ(a in catalog(), b in catalog(), place: prop::sample::Index) {
        let mut folder = migrations(&Catalog::new(), a.clone(), "20260101000000");
        folder.extend(migrations(&a, b, "20260102000000"));
        let recorded = replay(&folder).expect("replays");
        for index in 0..folder.len() {
            let content = folder[index].content.clone();
            prop_assert_eq!(verify(&folder[index]), Ok(()), "{}", content);
            let start = content.floor_char_boundary(place.index(content.len()));
            let (before, after) = content.split_at(start);
            let removed = after.char_indices().nth(1).map_or("", |(next, _)| &after[next..]);
            let plan = content.find("$\n{").expect("a plan")..content.find("\n  caller_path").expect("a body");
            for edited in [format!("{before} {after}"), format!("{before}{removed}"), format!("{before}\r{after}")] {
                folder[index].content = edited;
                if verify(&folder[index]).is_ok() {
                    prop_assert!(plan.contains(&start), "{}", folder[index].content);
                    prop_assert_eq!(&replay(&folder).expect("replays"), &recorded, "{}", folder[index].content);
                }
            }
            folder[index].content = content;
        }
    }
}
