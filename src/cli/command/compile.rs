//! `flowsmith compile`

use flowsmith::report::changes_text;
use flowsmith_core::diff::abandoned_queues;
use flowsmith_core::project::{Compilation, CompileOptions, compile_project};
use flowsmith_postgres::compile::compile_from_live;

use crate::cli::args::deploy::CompileArgs;
use crate::cli::database;
use crate::cli::exit::{Exit, Failure};
use crate::cli::explain::{warnings, with_findings};
use crate::cli::output::{Output, shown};
use crate::cli::project::Project;

pub(crate) async fn run(args: &CompileArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    if args.rehash {
        output.message(&format!("Wrote {}", shown(project.files.rehash()?.1)));
        return Ok(Exit::Done);
    }
    let options = CompileOptions { version: args.timestamp, name: args.name.clone(), delete: args.delete.clone() };
    let compiled = if args.from_live {
        let mut session = database::open(project, output).await?;
        let compiling = compile_from_live(&mut session, &project.files, &options);
        compiling.await.map_err(|error| with_findings(error, &project.files, output))?
    } else {
        compile_project(&project.files, &options).map_err(|error| with_findings(error, &project.files, output))?
    };
    warnings(&compiled.checked, &project.files, output);
    report(&compiled, output);
    if args.check && !compiled.changes.is_empty() {
        output.message("The migrations are behind the flow files: run `flowsmith compile` and commit the migration.");
        return Ok(Exit::Pending);
    }
    if !args.check {
        let (_, written) = compiled.write()?;
        for path in written {
            output.message(&format!("Wrote {}", shown(path)));
        }
    }
    Ok(Exit::Done)
}

fn report(compiled: &Compilation, output: &Output) {
    let changes = &compiled.changes.changes;
    if changes.is_empty() {
        output.message("Nothing to compile: the migrations are up to date.");
        return;
    }
    output.report(&changes_text(changes, output.layout()));
    note_replacements(compiled, output);
    let care = anstyle::AnsiColor::Yellow.on_default().bold();
    for (change, queues) in changes.iter().zip(abandoned_queues(changes)) {
        for queue in queues {
            output.message(&format!("{care}warning{care:#}: {}: trigger {queue}", change.id()));
        }
    }
}

/// Notes the changes that `apply` refuses if the flow version has runs.
fn note_replacements(compiled: &Compilation, output: &Output) {
    let care = anstyle::AnsiColor::Yellow.on_default().bold();
    for replacement in compiled.replacements() {
        let id = &replacement.id;
        let instead = if replacement.is_defined {
            format!(
                "To keep the runs, delete this migration, run `flowsmith compile --rehash`, and write `version: {}` in the flow file, which creates a new version.",
                id.version.saturating_add(1)
            )
        } else {
            format!(
                "A drained old version can be deleted instead: delete this migration, run `flowsmith compile --rehash`, then `flowsmith retire {id}`."
            )
        };
        output.prose(&format!(
            "{care}note{care:#}: [replace] recreates steps, so `apply` refuses it in any database in which {id} has runs, running or ended.\n      {instead}\n"
        ));
    }
}
