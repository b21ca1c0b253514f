//! `flowsmith install`

use flowsmith_core::diagnostic::Code;
use flowsmith_postgres::engine::install::{
    EngineAction, InputStyle as Style, InstallReport, PgmqAction, install, install_script, install_with_roles,
};
use flowsmith_postgres::engine::roles::{Role, grants_script};

use crate::cli::args::road::{InputStyle, InstallArgs};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::project::Project;
use crate::cli::session::Place;

pub(crate) async fn run(args: &InstallArgs, project: &Project, output: &Output) -> Result<Exit, Failure> {
    let style = match args.input_style {
        None | Some(InputStyle::Separate) => Style::Separate,
        Some(InputStyle::Merged) => Style::Merged,
    };
    let roles = args.grants.then_some(&args.role_prefix);
    if args.print {
        output.report(&install_script(style));
        if let Some(roles) = roles {
            output.report(&format!("\n{}", grants_script(roles)));
        }
        return Ok(Exit::Done);
    }
    let place = Place::find(project, output)?;
    let report = match roles {
        Some(roles) => install_with_roles(place.target.options(), style, roles).await?,
        None => install(place.target.options(), style).await?,
    };
    let held = report.database.input_style.as_deref();
    if args.input_style.is_some() && held != Some(style.as_str()) {
        return Err(Failure::new(
            Exit::Refused,
            Code::InputStyleFixed,
            format!(
                "the engine was installed with the input style {}, which cannot change",
                held.unwrap_or("of its level")
            ),
            "omit --input-style",
        ));
    }
    output.prose(&format!("{}\n", words(&report)));
    for prefix in &report.outdated_roles {
        output.message(&format!(
            "the roles of {prefix} lack privileges that this version needs: run `flowsmith install --grants --role-prefix {prefix}`"
        ));
    }
    if let Some(roles) = roles {
        let names = Role::ALL.map(|role| roles.name(role)).join(", ");
        output.prose(&format!("the roles {names} have their privileges\n"));
    }
    Ok(Exit::Done)
}

/// A summary of the installation in one line.
pub(crate) fn words(report: &InstallReport) -> String {
    let engine = match report.engine {
        EngineAction::Installed(version) => format!("engine version {version} installed"),
        EngineAction::Upgraded { from, to } => format!("engine upgraded from version {from} to {to}"),
        EngineAction::UpToDate(version) => format!("engine version {version} is up to date"),
        EngineAction::LeftOfficial(level) => format!("pgflow's engine {level} left unchanged"),
    };
    let recovery = match (report.database.has_pg_cron, report.database.has_cron_job) {
        (true, Some(true)) => ", pg_cron recovers stalled tasks",
        (true, _) if report.database.has_recovery => {
            ", pg_cron has no job for recovering stalled tasks: see `flowsmith doctor`"
        }
        _ => "",
    };
    let pgmq = match report.pgmq {
        PgmqAction::Kept => "unchanged",
        PgmqAction::CreatedExtension => "created as an extension",
        PgmqAction::InstalledSql => "installed as plain SQL",
        PgmqAction::InstalledSqlForLackOfRights => {
            "installed as plain SQL, because this role may not create the extension"
        }
    };
    format!("{engine}, pgmq {pgmq}{recovery}")
}
