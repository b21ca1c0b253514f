//! Text that is wider than the terminal, folded so that it can still be read: of tables, the columns that do not fit go below
//! their row, each value behind its heading; prose between words. What is meant to be copied, or lines up with the line above, stays as it is.

/// How much further in than its line a continuation stands.
const INDENT: usize = 4;

/// Folds what is wider than so many columns.
pub(super) fn fold(text: &str, width: usize) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if !is_head(line) {
            folded.push_str(&prose(line, width, indent(line) + INDENT));
            continue;
        }
        let mut table = vec![line];
        while let Some(row) = lines.next_if(|row| !row.trim().is_empty()) {
            table.push(row);
        }
        folded.push_str(&rows(&table, width));
    }
    folded
}

/// A line without its end: its visible characters, each with the sequences of colours before it; and those behind the last.
fn characters(line: &str) -> (Vec<Painted<'_>>, &str) {
    let mut visible = Vec::new();
    let mut rest = line.trim_end_matches('\n');
    let mut from = rest;
    while let Some(next) = rest.chars().next() {
        if next == '\u{1b}' {
            rest = rest.split_once('m').map_or("", |(_, rest)| rest);
            continue;
        }
        visible.push((next, &from[..from.len() - rest.len()]));
        rest = &rest[next.len_utf8()..];
        from = rest;
    }
    (visible, from)
}

fn indent(line: &str) -> usize {
    characters(line).0.iter().take_while(|(c, _)| *c == ' ').count()
}

/// Whether it is the first line of a table: several words in capitals, indented.
fn is_head(line: &str) -> bool {
    let visible: String = characters(line).0.iter().map(|(c, _)| *c).collect();
    let is_shout = visible.chars().any(char::is_uppercase) && !visible.chars().any(char::is_lowercase);
    visible.starts_with("  ") && is_shout && visible.trim().contains("  ")
}

/// A character with the sequences of colours before it.
type Painted<'a> = (char, &'a str);

/// A table: the columns that fit stay one, the others follow below each row, each value behind its heading.
fn rows(table: &[&str], width: usize) -> String {
    let lines: Vec<_> = table.iter().map(|line| characters(line)).collect();
    let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let is_blank = |at: usize| lines.iter().all(|(line, _)| line.get(at).is_none_or(|(c, _)| *c == ' '));
    // Columns begin where all lines have two blanks before.
    let starts: Vec<usize> =
        (2..widest).filter(|at| is_blank(at - 2) && is_blank(at - 1) && !is_blank(*at)).chain([widest]).collect();
    let columns: Vec<(usize, usize)> = starts.iter().copied().zip(starts.iter().skip(1).copied()).collect();
    if widest <= width || columns.is_empty() {
        return table.concat();
    }
    let end_of_text = |(start, end): &(usize, usize)| (*start..*end).rev().find(|at| !is_blank(*at)).unwrap_or(*start);
    let fitting = columns.iter().take_while(|column| end_of_text(column) < width).count().max(1);
    let hang = columns[0].0 + INDENT;
    let (head, _) = &lines[0];
    let mut folded = String::new();
    for (place, (visible, behind)) in lines.iter().enumerate() {
        let (shown, _) = text(visible, 0, columns[fitting - 1].1);
        let others = &columns[fitting..];
        folded.push_str(&prose(&format!("{shown}{}\n", if others.is_empty() { behind } else { "" }), width, hang));
        if place == 0 || others.is_empty() {
            continue;
        }
        let mut line = " ".repeat(hang);
        let mut taken = hang;
        for (start, end) in others {
            let (value, length) = text(visible, *start, *end);
            if length == 0 {
                continue;
            }
            let (name, name_length) = text(head, *start, *end);
            let space = if name_length > 0 { " " } else { "" };
            let (entry, needed) =
                (format!("{}{space}{}", unindented(&name), unindented(&value)), name_length + space.len() + length);
            let gap = if taken > hang { 2 } else { 0 };
            if taken > hang && taken + gap + needed > width {
                folded.push_str(&format!("{line}\n"));
                (line, taken) = (" ".repeat(hang), hang);
            } else {
                line.push_str(&" ".repeat(gap));
                taken += gap;
            }
            line.push_str(&entry);
            taken += needed;
        }
        if taken > hang {
            folded.push_str(&prose(&format!("{line}{behind}\n"), width, hang));
        }
    }
    folded
}

/// What a line has between two places, without the blanks behind it but with their colours, and how long it is without those
/// before it.
fn text(visible: &[Painted<'_>], start: usize, end: usize) -> (String, usize) {
    let cells = &visible[start.min(visible.len())..end.min(visible.len())];
    let length = cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
    let indent = cells.iter().take_while(|(c, _)| *c == ' ').count().min(length);
    let mut text: String = cells[..length].iter().flat_map(|(c, before)| before.chars().chain([*c])).collect();
    text.extend(cells[length..].iter().map(|(_, before)| *before));
    (text, length - indent)
}

/// A text without the blanks before it, but with their colours.
fn unindented(text: &str) -> String {
    let (visible, behind) = characters(text);
    let blanks = visible.iter().take_while(|(c, _)| *c == ' ').count();
    let mut unindented: String = visible[..blanks].iter().map(|(_, before)| *before).collect();
    unindented.extend(visible[blanks..].iter().flat_map(|(c, before)| before.chars().chain([*c])));
    unindented + behind
}

/// A line, broken between words; what follows stands as far in as `hang`.
fn prose(line: &str, width: usize, hang: usize) -> String {
    if is_copied(line) || is_excerpt(line) { line.to_owned() } else { broken(line, width, hang) }
}

/// Folds a line of a log, whatever is in it, so that one line can be told from the next.
pub(super) fn log(line: &str, width: usize) -> String {
    broken(line, width, indent(line) + INDENT)
}

fn broken(line: &str, width: usize, hang: usize) -> String {
    let (visible, behind) = characters(line);
    let has_room = width > hang + 10;
    if visible.len() <= width || !has_room {
        return line.to_owned();
    }
    let mut folded = String::new();
    let (mut from, mut room, mut first_word) = (0, width, indent(line));
    loop {
        let gap = (from == 0).then(|| last_gap(&visible, hang, width)).flatten();
        let end = if visible.len() - from <= room {
            visible.len()
        } else if let Some(gap) = gap {
            gap
        } else {
            let longest = (first_word + 1..=from + room).rev().find(|at| visible[*at].0 == ' ');
            // A word that is too long by itself goes as far as it goes.
            let word_end = || (from + room..visible.len()).find(|at| visible[*at].0 == ' ');
            longest.or_else(word_end).unwrap_or(visible.len())
        };
        folded.extend(visible[from..end].iter().flat_map(|(c, before)| [(*before).to_owned(), c.to_string()]));
        let next = (end..visible.len()).find(|at| visible[*at].0 != ' ').unwrap_or(visible.len());
        if next == visible.len() {
            break;
        }
        // The colours of blanks that fall away.
        folded.extend(visible[end..next].iter().map(|(_, before)| *before));
        let trimmed = folded.trim_end().len();
        folded.truncate(trimmed);
        folded.push_str(&format!("\n{:hang$}", ""));
        (from, room, first_word) = (next, width - hang, next);
    }
    folded.push_str(behind);
    if line.ends_with('\n') {
        folded.push('\n');
    }
    folded
}

/// Where the last column of a line without headings begins to be set off, if that leaves something before it: it goes below as a whole.
fn last_gap(visible: &[Painted<'_>], hang: usize, width: usize) -> Option<usize> {
    let is_blank = |at: usize| visible.get(at).is_some_and(|(c, _)| *c == ' ');
    (hang + 1..width.min(visible.len())).rev().find(|at| is_blank(*at) && is_blank(at + 1) && !is_blank(at - 1))
}

/// Whether somebody may take it from the screen: URLs, and JSON.
fn is_copied(line: &str) -> bool {
    ["://", "{\"", "[\"", "[{"].iter().any(|mark| line.contains(mark))
}

/// Whether it is a line of a file, or a mark below one: `26 |   map: tips`.
fn is_excerpt(line: &str) -> bool {
    let visible: String = characters(line).0.iter().map(|(c, _)| *c).collect();
    visible.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_follow_below_their_row_behind_their_headings() {
        let table = "  RUN       FLOW     STATUS   TOOK\n  95ab90c4  order@2  started  3.1 s\n\nend\n";
        assert_eq!(fold(table, 80), table);
        assert_eq!(
            fold(table, 24),
            "  RUN       FLOW\n  95ab90c4  order@2\n      STATUS started\n      TOOK 3.1 s\n\nend\n"
        );
        assert_eq!(
            fold(table, 33),
            "  RUN       FLOW     STATUS\n  95ab90c4  order@2  started\n      TOOK 3.1 s\n\nend\n"
        );
    }

    #[test]
    fn numbers_stand_beside_their_headings_with_their_colours_and_nothing_is_said_of_nothing() {
        let table = "  QUEUE  MESSAGES  LONGEST  WORKERS\n  order         2  \u{1b}[31m 1.5 s\u{1b}[0m        0\n  signup        0               12\n";
        assert_eq!(
            fold(table, 24),
            "  QUEUE  MESSAGES\n  order         2\n      LONGEST \u{1b}[31m1.5 s\u{1b}[0m\n      WORKERS 0\n  signup        0\n      WORKERS 12\n"
        );
    }

    #[test]
    fn the_last_column_of_a_line_without_headings_goes_below_whole() {
        let line = "  20261121_add_2_flows  applied  2026-11-21 17:33:32 UTC by postgres\n";
        assert_eq!(fold(line, 60), "  20261121_add_2_flows  applied\n      2026-11-21 17:33:32 UTC by postgres\n");
    }

    #[test]
    fn a_column_that_is_too_wide_is_prose_below_its_row() {
        let table = "  RUN   STATUS\n  95ab  failed   load: out of paper and of ink too\n  96ab  started\n";
        let folded =
            "  RUN   STATUS\n  95ab  failed\n      load: out of\n      paper and of ink\n      too\n  96ab  started\n";
        assert_eq!(fold(table, 22), folded);
    }

    #[test]
    fn prose_is_broken_between_words_with_its_colours() {
        assert_eq!(fold("  ok  no pg_cron: let a worker\n", 18), "  ok  no pg_cron:\n      let a worker\n");
        let painted = "\u{1b}[1merror\u{1b}[0m: the step depends on nothing";
        assert_eq!(fold(painted, 20), "\u{1b}[1merror\u{1b}[0m: the step\n    depends on\n    nothing");
        assert_eq!(fold("a-word-that-is-longer-than-that is it\n", 20), "a-word-that-is-longer-than-that\n    is it\n");
    }

    #[test]
    fn what_is_copied_or_lines_up_stays() {
        for line in [
            "Connect: psql 'postgresql:///x?host=/tmp/x'\n",
            "   26 |     map: a very long line\n",
            "  out {\"a\": \"b c d e f g\"}\n",
        ] {
            assert_eq!(fold(line, 20), line);
        }
    }

    #[test]
    fn lines_of_a_log_are_broken_whatever_is_in_them() {
        let line = "12:00 a failed: POST http://x.test/y: {\"a\": 1}\n";
        assert_eq!(fold(line, 24), line);
        assert_eq!(log(line, 24), "12:00 a failed: POST\n    http://x.test/y:\n    {\"a\": 1}\n");
    }

    #[test]
    fn no_text_is_lost() {
        let table = "  A  B      C\n  \u{1b}[2mx\u{1b}[0m  größe  \u{1b}[31mlong text here\u{1b}[0m\n";
        for width in 1..40 {
            let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
            let folded = fold(table, width);
            let mut sorted = [words(&folded), words(table)];
            sorted.iter_mut().for_each(|words| words.sort());
            assert_eq!(sorted[0], sorted[1], "{width}: {folded}");
        }
    }
}
