//! `flowsmith install`

use flowsmith_core::diagnostic::Code;
use flowsmith_postgres::engine::install::{InputStyle as Style, install, install_script, install_with_roles};
use flowsmith_postgres::engine::roles::{Role, grants_script};

use crate::cli::args::deploy::{InputStyle, InstallArgs};
use crate::cli::database::Database;
use crate::cli::exit::{Exit, Failure};
use crate::cli::installed::installed_text;
use crate::cli::output::Output;
use crate::cli::project::Project;

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
    let database = Database::resolve(project, output)?;
    let report = match roles {
        Some(roles) => install_with_roles(database.target.options(), style, roles).await?,
        None => install(database.target.options(), style).await?,
    };
    let actual = report.database.input_style.as_deref();
    if args.input_style.is_some() && actual != Some(style.as_str()) {
        return Err(Failure::new(
            Exit::Refused,
            Code::InputStyleFixed,
            format!(
                "the engine was installed with the input style {}, which cannot change",
                actual.unwrap_or("of its level")
            ),
            "omit --input-style",
        ));
    }
    output.prose(&format!("{}\n", installed_text(&report)));
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
