//! docs/rights.md, generated from the privileges that `install --grants` grants.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use flowsmith_postgres::engine::roles::{Role, functions, rights};

/// The object of a privilege as the page names it, and the section to which it belongs.
fn place(object: &str) -> (&'static str, String) {
    match object.split_once(' ') {
        Some(("schema", name)) => ("Schemas", format!("`{name}`")),
        Some(("function", name)) => ("Functions", format!("`{name}`")),
        Some((_, name)) => ("Tables", format!("`{name}`")),
        None => ("Tables", format!("the {object} table of a flow")),
    }
}

fn page() -> String {
    let mut sections: BTreeMap<&str, BTreeMap<String, BTreeMap<Role, Vec<String>>>> = BTreeMap::new();
    for role in Role::ALL {
        for right in rights(role) {
            let (section, object) = place(&right.object);
            let privileges = sections.entry(section).or_default().entry(object).or_default().entry(role).or_default();
            privileges.push(right.privilege.replace("EXECUTE", "yes"));
        }
    }
    let granted: Vec<String> = sections["Functions"].keys().cloned().collect();
    let mut page = "# Privileges of the roles\n\nEverything that the roles of `flowsmith install --grants` may do, and nothing else. An \
                    empty cell means no privilege; PUBLIC\nhas none at all. Tests compare this page with every object in the \
                    catalog. It is generated from\n[rights.txt](../crates/flowsmith-postgres/src/engine/roles/rights.txt): \
                    `UPDATE=1 cargo test --test fast -- rights` rewrites it.\n"
        .to_owned();
    for (section, objects) in &sections {
        let header = Role::ALL.map(Role::as_str).join(" | ");
        write!(page, "\n## {section}\n\n| | {header} |\n|---|---|---|---|---|\n").unwrap();
        for (object, privileges) in objects {
            let cells = Role::ALL.map(|role| privileges.get(&role).map(|list| list.join(", ")).unwrap_or_default());
            writeln!(page, "| {object} | {} |", cells.join(" | ")).unwrap();
        }
    }
    let mut owners: Vec<String> = functions().into_iter().map(|name| format!("`{name}`")).collect();
    owners.retain(|name| !granted.contains(name));
    owners.sort();
    owners.dedup();
    write!(page, "\n## Functions that only the owner may call\n\n{}\n", owners.join(", ")).unwrap();
    page
}

#[test]
fn page_equals_privileges() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rights.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        page,
        "docs/rights.md is out of date: regenerate it with UPDATE=1"
    );
}
