//! Random catalogs, for property tests.

use std::collections::BTreeMap;

use flowsmith_core::catalog::{
    Annotations, Catalog, FailureMode, Flow, FlowId, FlowOptions, Input, QueueKind, State, Step, StepKind, TableEvent,
    TableName, TableTrigger, Trigger, TriggerSource, canonical_json,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Few names, because two catalogs should share many. Some are long, in capitals, or not strings in unquoted YAML.
fn slug() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        1 => "[a-zA-Z][a-z0-9_]{0,20}[a-z]",
        1 => Just("null".to_owned()),
        1 => Just("Yes".to_owned()),
    ]
    .prop_filter("reserved", |slug| slug != "run" && !slug.contains("_v"))
}

/// Text that could break out of a quotation.
pub(crate) fn hostile_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("'; drop table pgflow.flows; --".to_owned()),
        Just("$plan$; $flowsmith$ end; $$ \\".to_owned()),
        Just("\\' \\\\ \" %s {{ x }} {% y %} ${z} :v :'v'".to_owned()),
        Just("ünïcode 漢字 🦀 \u{2028}\u{202e} \t\n\r\u{1}".to_owned()),
        "[^\0]{0,12}",
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(|float| json!((float * 8.0).round() / 8.0)),
        hostile_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(hostile_text(), inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn pattern() -> impl Strategy<Value = Option<Value>> {
    option::weighted(0.2, btree_map("[a-d]", json_value(), 0..3).prop_map(|map| canonical_json(json!(map))))
}

fn mode() -> impl Strategy<Value = FailureMode> {
    prop_oneof![Just(FailureMode::Fail), Just(FailureMode::Skip), Just(FailureMode::SkipCascade)]
}

fn small() -> impl Strategy<Value = Option<i32>> {
    option::weighted(0.3, 1..10_i32)
}

/// A step and its dependencies, as positions among the earlier steps.
fn step() -> impl Strategy<Value = (Step, Vec<prop::sample::Index>)> {
    let options = (small(), small(), small(), small());
    let conditions = (pattern(), pattern(), mode(), mode());
    (any::<bool>(), vec(any::<prop::sample::Index>(), 0..3), options, conditions).prop_map(
        |(map, deps, options, (required, forbidden, when_unmet, when_exhausted))| {
            let step = Step {
                kind: if map { StepKind::Map } else { StepKind::Single },
                max_attempts: options.0,
                base_delay: options.1,
                timeout: options.2,
                start_delay: options.3,
                required_input_pattern: required,
                forbidden_input_pattern: forbidden,
                when_unmet,
                when_exhausted,
                ..Step::single("")
            };
            (step, deps)
        },
    )
}

fn annotations() -> impl Strategy<Value = Annotations> {
    let text = || option::weighted(0.3, hostile_text());
    (text(), text(), btree_map("[a-d]", hostile_text(), 0..2)).prop_map(|(description, owner, labels)| Annotations {
        description,
        owner,
        labels,
        ..Annotations::default()
    })
}

/// A text as an SQL literal.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A trigger that can be created in any database with the schema `flowsmith`.
fn trigger() -> impl Strategy<Value = TriggerSource> {
    let input = || json_value().prop_map(canonical_json);
    let sql = || hostile_text().prop_map(|text| format!("jsonb_build_array({})", literal(&text)));
    let table = || prop_oneof![Just("flowsmith.migrations"), Just("flowsmith.firings")];
    let schedule = || prop_oneof![Just("0 2 * * *"), Just("@daily"), Just("*/5 9-17 * jan-mar mon-fri")];
    let on = prop::sample::subsequence(vec![TableEvent::Insert, TableEvent::Update, TableEvent::Delete], 1..=3);
    let when = option::of(hostile_text().prop_map(|text| format!("{} = 'x' and new is null", literal(&text))));
    prop_oneof![
        (schedule(), input())
            .prop_map(|(schedule, input)| TriggerSource::Cron { schedule: schedule.to_owned(), input }),
        (any::<bool>(), option::of(sql())).prop_map(|(pgq, input_sql)| TriggerSource::Queue {
            kind: if pgq { QueueKind::Pgq } else { QueueKind::Pgmq },
            queue: "imports".to_owned(),
            input_sql,
        }),
        (table(), on, when, prop_oneof![input().prop_map(Input::Value), sql().prop_map(Input::Sql)], any::<bool>())
            .prop_map(|(table, on, when, input, strict)| TriggerSource::Table(TableTrigger {
                table: TableName::parse(table).expect("a table"),
                on,
                // Never true, because applying a migration writes to these tables.
                when: Some(when.unwrap_or_else(|| "false".to_owned())),
                input,
                strict,
            })),
    ]
}

/// Triggers with few different names.
fn triggers() -> impl Strategy<Value = Vec<Trigger>> {
    btree_map("[a-c]{1,2}|a[b-c]{44}", (option::weighted(0.3, hostile_text()), trigger()), 0..3).prop_map(|drawn| {
        drawn.into_iter().map(|(name, (description, source))| Trigger { name, description, source }).collect()
    })
}

/// A flow whose steps depend on earlier ones only, as the database requires.
pub(crate) fn flow(slug: String, version: u32) -> impl Strategy<Value = Flow> {
    let options = (1..5_i32, 1..5_i32, 50..70_i32).prop_map(|(max_attempts, base_delay, timeout)| FlowOptions {
        max_attempts,
        base_delay,
        timeout,
    });
    (options, btree_map(self::slug(), step(), 1..6), annotations(), triggers()).prop_map(
        move |(options, drawn, annotations, triggers)| {
            let mut steps: Vec<Step> = Vec::new();
            for (slug, (mut step, deps)) in drawn {
                let most = if step.kind == StepKind::Map { 1 } else { 3 };
                let mut depends_on: Vec<String> = deps
                    .iter()
                    .take(most)
                    .filter(|_| !steps.is_empty())
                    .map(|dep| dep.get(&steps).slug.clone())
                    .collect();
                depends_on.sort();
                depends_on.dedup();
                step.depends_on = depends_on;
                step.slug = slug;
                steps.push(step);
            }
            Flow {
                id: FlowId::new(slug.clone(), version),
                state: State::Current,
                options,
                steps,
                annotations,
                triggers,
            }
        },
    )
}

/// A catalog like one of files: the highest version of each slug is current.
pub(crate) fn catalog() -> impl Strategy<Value = Catalog> {
    vec((slug(), 1..4_u32), 0..5)
        .prop_flat_map(|ids| {
            let ids: BTreeMap<String, (String, u32)> = ids
                .into_iter()
                .map(|(slug, version)| (format!("{}{version}", slug.to_lowercase()), (slug, version)))
                .collect();
            ids.into_values().map(|(slug, version)| flow(slug, version)).collect::<Vec<_>>()
        })
        .prop_map(|flows| {
            let newest =
                |slug: &str| flows.iter().filter(|flow| flow.id.slug == slug).map(|flow| flow.id.version).max();
            let state = |flow: &Flow| match newest(&flow.id.slug) {
                Some(version) if version == flow.id.version => State::Current,
                _ => State::Draining,
            };
            flows.iter().map(|flow| Flow { state: state(flow), ..flow.clone() }).collect()
        })
}
