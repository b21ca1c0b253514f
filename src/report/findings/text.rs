//! Findings as text, in the format of rustc.

use annotate_snippets::{Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{Located, Location, Report, Summary, message, path};
use flowsmith_core::finding::Severity;
use flowsmith_core::visible::visible;

/// Longer lines are not quoted: a file with a single line would be printed completely.
const MAX_LINE: usize = 1000;

/// All findings with the affected lines, and a summary line.
pub fn text(report: &Report, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut written = String::new();
    for located in &report.findings {
        written.push_str(&renderer.render(&[group(located)]));
        written.push_str("\n\n");
    }
    written.push_str(&closing(&report.summary));
    written.push('\n');
    written
}

fn group(located: &Located) -> Group<'_> {
    let finding = &located.finding;
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(visible(&message(located)).into_owned())
        .id(finding.code.as_str())
        .elements(places(located));
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(visible(help).into_owned()));
    }
    group
}

fn places(located: &Located) -> Vec<Element<'_>> {
    let finding = &located.finding;
    let Some(at) = &located.at else {
        return vec![Origin::path(path(&finding.file)).into()];
    };
    let mut own = vec![(at, AnnotationKind::Primary, visible(&finding.label).into_owned())];
    let mut others = Vec::new();
    for (related, location) in finding.related.iter().zip(&located.related) {
        let Some(location) = location else { continue };
        let place = (location, AnnotationKind::Context, visible(&related.label).into_owned());
        if location.file == at.file { own.push(place) } else { others.push(vec![place]) }
    }
    std::iter::once(own).chain(others).flat_map(|places| snippet(&places)).collect()
}

/// The lines of one file from the first position to the last. The renderer omits the lines in between.
fn snippet<'a>(places: &[(&'a Location, AnnotationKind, String)]) -> Vec<Element<'a>> {
    let Some((at, ..)) = places.first() else { return Vec::new() };
    let from = places.iter().map(|(place, ..)| place.bytes.start).min().unwrap_or_default();
    let to = places.iter().map(|(place, ..)| place.bytes.end).max().unwrap_or_default();
    let first = places.iter().map(|(place, ..)| place.start.line).min().unwrap_or(1);
    let start = at.text[..from].rfind('\n').map_or(0, |newline| newline + 1);
    let end = to + at.text[to..].find('\n').unwrap_or(at.text.len() - to);
    let source = &at.text[start..end];
    if source.lines().any(|line| line.len() > MAX_LINE) {
        return places
            .iter()
            .map(|(place, ..)| {
                Origin::path(path(&place.file)).line(place.start.line).char_column(place.start.column).into()
            })
            .collect();
    }
    // Offsets are computed for LF line ends.
    let offset = |byte: usize| byte - start - at.text[start..byte].matches("\r\n").count();
    let annotations = places.iter().map(|(place, kind, label)| {
        let annotation: Annotation<'a> = kind.span(offset(place.bytes.start)..offset(place.bytes.end));
        if label.is_empty() { annotation } else { annotation.label(label.clone()) }
    });
    let source = source.trim_end_matches('\r').replace("\r\n", "\n");
    vec![Snippet::source(source).line_start(first).path(path(&at.file)).annotations(annotations).into()]
}

fn closing(summary: &Summary) -> String {
    let files = count(summary.files, "file");
    let warnings = count(summary.warnings, "warning");
    match (summary.errors, summary.warnings) {
        (0, 0) => format!("no findings: {} in {files}", contents(summary)),
        (0, _) => format!("{warnings}: {} in {files}", contents(summary)),
        (errors, 0) => format!("{} in {files}", count(errors, "error")),
        (errors, _) => format!("{} and {warnings} in {files}", count(errors, "error")),
    }
}

fn contents(summary: &Summary) -> String {
    let (flows, steps) = (count(summary.flows, "flow"), count(summary.steps, "step"));
    format!("{flows} with {steps} and {}", count(summary.triggers, "trigger"))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
