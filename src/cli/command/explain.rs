//! `flowsmith explain`

use include_dir::{Dir, include_dir};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/findings");

pub(crate) fn run(code: Option<&str>, output: &Output) -> Result<Exit, Failure> {
    // Without a code, the index is shown.
    let code = code.unwrap_or("README");
    // `301` stands for FS301.
    let is_number = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
    let name = format!("{}{}.md", if is_number { "FS" } else { "" }, code.to_uppercase());
    match PAGES.get_file(&name).and_then(include_dir::File::contents_utf8) {
        Some(page) => {
            output.report(&wrapped(page));
            Ok(Exit::Done)
        }
        None => Err(Failure::usage(
            format!("unknown code {code}"),
            "run `flowsmith explain` to list all codes, such as FS301",
        )),
    }
}

/// A page with wrapped paragraphs and unchanged examples.
fn wrapped(page: &str) -> String {
    const WIDTH: usize = 80;
    let mut text = String::new();
    let mut in_example = false;
    for line in page.lines() {
        in_example ^= line.starts_with("```");
        let mut width = 0;
        // Without the spaces between them, an example's lines would lose their indentation.
        let words = if in_example { vec![line] } else { line.split(' ').collect() };
        for word in words {
            let length = word.chars().count();
            if width > 0 && width + 1 + length > WIDTH {
                text.push('\n');
                width = 0;
            } else if width > 0 {
                text.push(' ');
                width += 1;
            }
            text.push_str(word);
            width += length;
        }
        text.push('\n');
    }
    text
}
