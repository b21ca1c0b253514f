//! The author of a pull request edits a generated migration: every command that reads it refuses.

use flowsmith_core::sha256_hex;

use crate::engine::definitions::text;
use crate::fixture::command::{Project, flowsmith_engine};

/// Every command that reads the migrations.
const GATES: [&[&str]; 8] = [
    &["compile", "--rehash"],
    &["compile", "--check"],
    &["compile"],
    &["plan"],
    &["status"],
    &["drift"],
    &["apply"],
    &["up"],
];

/// Writes a sum file that fits the only migration.
fn forge_sum(project: &Project, file: &str) {
    let checksum = sha256_hex(project.read(&format!("migrations/{file}")).as_bytes());
    let link = sha256_hex(format!("\n{file}\n{checksum}").as_bytes());
    project.write("migrations/flowsmith.sum", &format!("{file} {link}\n"));
}

#[tokio::test]
async fn every_gate_refuses_an_edited_migration() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}\n  ship: { depends_on: [load] }");
    project.succeeds(&["compile"]);
    let file = project.migrations().pop().unwrap();
    let path = format!("migrations/{file}");
    let original = project.read(&path);
    let end = "    perform flowsmith.end_migration(plan);";
    let edits = [
        (5, "FS808", original.replace(end, &format!("    create table public.probe ();\n{end}"))),
        (5, "FS808", format!("{original}create table public.probe ();\n")),
        (5, "FS808", original.replacen("[safe]", "[record]", 1)),
        (5, "FS808", original.replace('\n', "\r\n")),
        (1, "FS802", original.replace("  plan constant", "  create constant")),
        (1, "FS805", original.replace("\"class\": \"safe\"", "\"class\": \"tune\"")),
        (1, "FS806", original.replace("\"slug\": \"ship\"", "\"slug\": \"sink\"")),
    ];
    for (exit, code, edited) in edits {
        assert_ne!(edited, original);
        project.write(&path, &edited);
        forge_sum(&project, &file);
        for gate in GATES {
            let refused = project.exits_with(exit, gate);
            assert!(refused.contains(code), "{gate:?}: {refused}");
            assert!(refused.contains(file.trim_end_matches(".sql")), "{gate:?}: {refused}");
        }
    }
    let c = &mut database.connect().await;
    assert_eq!(text(c, "to_regclass('public.probe')").await, None);
    assert_eq!(text(c, "(select count(*) from flowsmith.migrations)").await.as_deref(), Some("0"));
    project.write(&path, &original);
    forge_sum(&project, &file);
    project.succeeds(&["apply"]);
}

#[tokio::test]
async fn override_warns_and_leaves_an_event() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    project.succeeds(&["compile"]);
    let file = project.migrations().pop().unwrap();
    let path = format!("migrations/{file}");
    project.write(&path, &format!("{}create table public.mine ();\n", project.read(&path)));
    for command in [&["compile", "--rehash", "--allow-edited"][..], &["-q", "apply", "--allow-edited"]] {
        let allowed = project.run(command);
        assert_eq!(allowed.code, 0, "{allowed}");
        assert!(allowed.stderr.contains("warning: --allow-edited: ") && allowed.stderr.contains(&file), "{allowed}");
    }
    let c = &mut database.connect().await;
    let event = "(select detail ->> 'difference' from flowsmith.events where kind = 'edited-migration-applied')";
    let event = text(c, event).await.expect("an event");
    assert!(event.contains(&file) && event.contains("create table public.mine ();"), "{event}");
    assert!(project.exits_with(5, &["status"]).contains("FS808"));
    project.succeeds(&["status", "--allow-edited"]);
    project.succeeds(&["plan", "--allow-edited"]);
    project.succeeds(&["drift", "--allow-edited"]);
}
