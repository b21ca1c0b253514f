//! `flowsmith explain`

use include_dir::{Dir, include_dir};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/findings");

pub(crate) fn run(code: &str, output: &Output) -> Result<Exit, Failure> {
    let name = format!("{}.md", code.to_uppercase());
    match PAGES.get_file(&name).and_then(include_dir::File::contents_utf8) {
        Some(page) => {
            output.report(page);
            Ok(Exit::Done)
        }
        None => Err(Failure::usage(
            format!("there is no code {code}"),
            "codes look like FS301; they stand in brackets behind `error`",
        )),
    }
}
