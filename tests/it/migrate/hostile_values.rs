//! Strings that could break out of a quotation, in every field that takes text, are stored unchanged and never executed.

use std::collections::BTreeMap;

use flowsmith_core::visible::is_invisible;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::Row;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, psql};
use crate::shared::catalogs::hostile_text;

/// A query that returns a text: `check` requires one query.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The recorded values of the flow.
async fn held(database: &Database) -> (Value, Value, Value) {
    let sql = "select v.definition::text, s.required_input_pattern::text, s.forbidden_input_pattern::text
        from flowsmith.flow_versions v join pgflow.steps s using (flow_slug)
        where v.flow_slug = 'hostile' and s.step_slug = 'check'";
    let row = sqlx::raw_sql(sql).fetch_one(&mut database.connect().await).await.unwrap();
    let value = |index: usize| -> Value { serde_json::from_str(row.get::<&str, _>(index)).unwrap() };
    (value(0), value(1), value(2))
}

#[tokio::test]
async fn hostile_strings_are_stored_unchanged_and_not_executed() {
    let mut runner = TestRunner::deterministic();
    for round in 0..6 {
        let database = flowsmith_engine().await;
        let mut c = database.connect().await;
        execute(&mut c, "create table public.sentinel as select 1 as alive").await;
        let project = Project::on(&database);
        let mut draw = || hostile_text().new_tree(&mut runner).unwrap().current();
        let texts: Vec<String> = (0..9).map(|_| draw()).collect();
        let pattern = |key: usize, value: usize| json!({ "load": { texts[key].clone(): [texts[value].clone()] } });
        let labels: BTreeMap<String, String> = [("a".to_owned(), texts[2].clone())].into();
        let flow = json!({
            "flow": "hostile",
            "description": format!("d{}", texts[0]),
            "owner": format!("o{}", texts[1]),
            "labels": labels,
            "input": { "type": "object", "description": texts[3] },
            "steps": {
                "load": { "handler": { "sql": format!("select {}", literal(&texts[4])) }, "output": { "title": texts[5] } },
                "check": { "depends_on": ["load"], "if": pattern(6, 7), "if_not": pattern(7, 8), "handler": { "exec": ["x", format!("-{}", texts[8])] } },
            },
        });
        let file: String = texts[0].chars().filter(|c| *c != '/' && !is_invisible(*c)).take(40).collect();
        project.write(&format!("flows/x{file}.yaml"), &flow.to_string());
        let compiled = project.run(&["compile"]);
        assert_eq!(compiled.code, 0, "{compiled}\n{flow}");
        let name = project.migrations().pop().unwrap();
        if round % 2 == 0 {
            project.succeeds(&["apply"]);
        } else {
            psql(&database, &project.path("migrations").join(&name)).unwrap();
        }
        project.succeeds(&["plan"]);
        project.succeeds(&["drift"]);

        let (definition, required, forbidden) = held(&database).await;
        let steps = definition["steps"].as_array().unwrap();
        let step = |slug: &str| steps.iter().find(|step| step["slug"] == slug).unwrap();
        for (key, expected) in [
            ("description", &flow["description"]),
            ("owner", &flow["owner"]),
            ("labels", &flow["labels"]),
            ("input", &flow["input"]),
        ] {
            assert_eq!(&definition[key], expected, "{key}");
        }
        assert_eq!(step("load")["handler"], flow["steps"]["load"]["handler"]);
        assert_eq!(step("check")["handler"], flow["steps"]["check"]["handler"]);
        assert_eq!(step("load")["output"], flow["steps"]["load"]["output"]);
        assert_eq!(required, flow["steps"]["check"]["if"]);
        assert_eq!(forbidden, flow["steps"]["check"]["if_not"]);
        assert_eq!(text(&mut c, "(select alive from public.sentinel)").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn migration_names_are_restricted() {
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    for name in ["x'; drop table y; --", "../up", "A", "a b", "", "ü", "$a$"] {
        let refused = project.exits_with(64, &["compile", "--name", name]);
        assert!(refused.contains("FS812"), "{refused}");
    }
    assert!(project.migrations().is_empty());
    project.succeeds(&["compile", "--name", "drop_table_users"]);
}
