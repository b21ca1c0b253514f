//! Generates projects of varied flows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const AREAS: [&str; 8] = ["order", "billing", "catalog", "shipping", "account", "support", "fraud", "report"];
const VERBS: [&str; 10] =
    ["load", "check", "enrich", "score", "reserve", "charge", "notify", "archive", "publish", "review"];

/// Writes `flows` flow files of `steps` steps below a project's folder.
pub(crate) fn project(folder: &Path, flows: usize, steps: usize) {
    for number in 0..flows {
        let area = AREAS[number % AREAS.len()];
        let folder = folder.join("flows").join(area);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{area}_{number}.yaml")), flow(area, number, steps)).expect("a file");
    }
}

/// A flow like those that people write: most steps are short, a few are long.
fn flow(area: &str, number: usize, steps: usize) -> String {
    let mut text = format!(
        "# yaml-language-server: $schema=../../schema/flow.v1.json\nflow: {area}_{number}\ndescription: Work on {area} number {number}\nowner: team_{}\nlabels: {{ tier: t{} }}\n",
        number % 17,
        number % 3
    );
    if number.is_multiple_of(2) {
        let _ = writeln!(
            text,
            "input:\n  type: object\n  required: [id]\n  properties:\n    id: {{ type: integer }}\n    plan: {{ type: string }}"
        );
    }
    let _ = writeln!(text, "defaults: {{ max_attempts: {}, timeout: {}s }}\nsteps:", 2 + number % 5, 30 + number % 90);
    for step in 0..steps {
        let _ = writeln!(text, "  {}:", name(step));
        if step == 0 {
            let _ = writeln!(text, "    handler: {{ sql: \"select {area}.load(:input)\" }}");
            continue;
        }
        let before = name(step - 1 - (number + step) % step.min(3));
        match (number + step) % 6 {
            0 => writeln!(text, "    map: {before}"),
            1 => writeln!(text, "    depends_on: [{before}]\n    if: {{ {before}: {{ flagged: true }} }}"),
            2 => writeln!(text, "    depends_on: [{before}]\n    timeout: 5m\n    when_exhausted: skip"),
            3 if before != name(0) => writeln!(text, "    depends_on: [{}, {before}]", name(0)),
            _ => writeln!(text, "    depends_on: [{before}]"),
        }
        .expect("a string takes everything");
    }
    if number.is_multiple_of(4) {
        let _ = writeln!(
            text,
            "triggers:\n  - name: nightly\n    cron: \"{} 2 * * *\"\n    input: {{ id: {number} }}",
            number % 60
        );
    }
    text
}

fn name(step: usize) -> String {
    format!("{}_{step}", VERBS[step % VERBS.len()])
}
