//! Findings as workflow commands of GitHub Actions, which annotate the lines of a pull request.

use super::{Report, message, path};
use flowsmith_core::visible::visible;

/// One command per line.
pub fn github(report: &Report) -> String {
    report
        .findings
        .iter()
        .map(|located| {
            let finding = &located.finding;
            let mut properties = format!("file={}", property(&path(&finding.file)));
            if let Some(at) = &located.at {
                let (start, end) = (at.start, at.end);
                properties.push_str(&format!(
                    ",line={},col={},endLine={},endColumn={}",
                    start.line,
                    start.column,
                    end.line,
                    // GitHub's last column is inclusive.
                    end.column.saturating_sub(1).max(start.column)
                ));
            }
            let title = property(&format!("{}: {}", finding.code, finding.code.title()));
            let help = finding.help.as_ref().map(|help| format!("\nhelp: {}", visible(help))).unwrap_or_default();
            let message = data(&format!("{}{help}", visible(&message(located))));
            format!("::{} {properties},title={title}::{message}\n", finding.severity.as_str())
        })
        .collect()
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
