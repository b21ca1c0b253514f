//! Wraps prose between words.

use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The additional indent of a continuation line.
pub(super) const INDENT: usize = 4;
/// The least space in which prose continues below itself instead of below its label.
const COLUMN: usize = 30;
/// In less space, prose would become a column of single words.
const LEAST: usize = 20;

/// Wraps each line of a text. Continuation lines are indented by `INDENT` more than their line.
pub(super) fn lines(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let indent = line.len() - line.trim_start_matches(' ').len();
        let (blanks, words) = line.split_at(indent);
        wrapped.push_str(&hanging(blanks, &format!("{blanks}{:INDENT$}", ""), words, width));
        wrapped.push_str(end);
    }
    wrapped
}

/// Wraps prose behind a label. It continues below itself if there is room, otherwise below the label, which then needs no blanks for
/// alignment.
pub(super) fn labelled(label: &str, prose: &str, width: usize) -> String {
    let column = display_width(label);
    if width >= column + COLUMN {
        return hanging(label, &" ".repeat(column), prose, width);
    }
    let indent = label.len() - label.trim_start_matches(' ').len();
    let trimmed = label.trim_end_matches(' ');
    let gap = label.len() - trimmed.len();
    hanging(&format!("{trimmed}{}", &"  "[..gap.min(2)]), &" ".repeat(indent + INDENT), prose, width)
}

/// Wraps one line. The first line starts with `first`, each other line with `rest`; both may contain ANSI codes. Words are never
/// broken, because a path, a URL or a command is copied as a whole.
pub(super) fn hanging(first: &str, rest: &str, text: &str, width: usize) -> String {
    if text.is_empty() {
        return first.trim_end_matches(' ').to_owned();
    }
    let fits = display_width(first).saturating_add(display_width(text)) <= width;
    if fits || width < display_width(rest) + LEAST {
        return format!("{first}{text}");
    }
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    // textwrap drops blanks at the end, which a question needs before its answer.
    let end = &text[text.trim_end_matches(' ').len()..];
    textwrap::wrap(text, options).join("\n") + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_between_words() {
        assert_eq!(
            lines("  ok  there is no pg_cron: start a worker\nend\n", 30),
            "  ok  there is no pg_cron:\n      start a worker\nend\n"
        );
    }

    #[test]
    fn ansi_codes_have_no_width() {
        let painted = "\u{1b}[1merror\u{1b}[0m: no such step, is there";
        assert_eq!(lines(painted, 30), painted);
        assert_eq!(lines(painted, 26), "\u{1b}[1merror\u{1b}[0m: no such step, is\n    there");
    }

    #[test]
    fn long_words_are_not_broken() {
        let url = "postgresql://app@database.example.org:5432/app";
        assert_eq!(
            lines(&format!("Connect: psql '{url}' now\n"), 30),
            format!("Connect: psql\n    '{url}'\n    now\n")
        );
    }

    #[test]
    fn prose_behind_a_label_continues_below_itself_if_there_is_room() {
        let prose = "every worker recovers tasks every 15 seconds";
        assert_eq!(
            labelled("  ok  recovery    ", prose, 50),
            "  ok  recovery    every worker recovers tasks\n                  every 15 seconds"
        );
        assert_eq!(
            labelled("  ok  recovery    ", prose, 40),
            "  ok  recovery  every worker recovers\n      tasks every 15 seconds"
        );
    }

    #[test]
    fn blanks_at_the_end_of_a_question_are_kept() {
        assert_eq!(
            lines("Delete order@1 with 12 runs from app? [y/N] ", 30),
            "Delete order@1 with 12 runs\n    from app? [y/N] "
        );
    }

    #[test]
    fn text_without_room_is_not_wrapped() {
        assert_eq!(lines("          a b c d e f g h i j k l m n\n", 20), "          a b c d e f g h i j k l m n\n");
    }
}
