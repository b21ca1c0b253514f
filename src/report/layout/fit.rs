//! Decides how a table fits a width: the headings, the gaps and the widths of its columns.

/// The indent of every table.
pub(super) const INDENT: usize = 2;

/// How narrow a column can be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The width of its widest cell.
    pub(super) full: usize,
    /// The same with short headings and short texts.
    pub(super) short: usize,
    /// The width of its short heading, if longer texts can be cut; none for numbers, which are never cut.
    pub(super) heading: Option<usize>,
}

/// A layout of columns that fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// Whether the short headings and texts are used.
    pub(super) is_short: bool,
    /// The number of blanks between two columns.
    pub(super) gap: usize,
    /// The width of each column.
    pub(super) widths: Vec<usize>,
}

/// A way to save width.
#[derive(Clone, Copy)]
struct Attempt {
    is_short: bool,
    gap: usize,
    /// The number of characters of a text that remain visible at least.
    least: usize,
}

/// From the most comfortable to the narrowest layout. Texts are cut only if nothing else helps.
const ATTEMPTS: [Attempt; 6] = [
    Attempt { is_short: false, gap: 2, least: usize::MAX },
    Attempt { is_short: true, gap: 2, least: usize::MAX },
    Attempt { is_short: true, gap: 1, least: usize::MAX },
    Attempt { is_short: false, gap: 2, least: 12 },
    Attempt { is_short: true, gap: 2, least: 12 },
    Attempt { is_short: true, gap: 1, least: 6 },
];

/// Blocks of columns are not squeezed further: another block costs less than unreadable names.
const COMFORTABLE: Attempt = ATTEMPTS[4];

/// The width that columns need without any saving.
pub(super) fn natural(columns: &[Span]) -> usize {
    ATTEMPTS[0].total(columns)
}

/// The first attempt that fits; none if the table has to be split.
pub(super) fn fit(columns: &[Span], width: usize) -> Option<Fit> {
    ATTEMPTS.iter().find(|attempt| attempt.total(columns) <= width).map(|attempt| attempt.fit(columns, width))
}

/// The narrowest layout, for columns that never fit.
pub(super) fn narrowest(columns: &[Span]) -> Fit {
    let attempt = &ATTEMPTS[ATTEMPTS.len() - 1];
    attempt.fit(columns, attempt.total(columns))
}

/// Splits columns into blocks that fit. Every block starts with the first column, which names the rows.
pub(super) fn blocks(columns: &[Span], width: usize) -> Vec<Vec<usize>> {
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    for place in 1..columns.len() {
        let has_room = blocks.last().is_some_and(|block| {
            let spans: Vec<Span> = block.iter().chain([&place]).map(|place| columns[*place]).collect();
            COMFORTABLE.total(&spans) <= width
        });
        match blocks.last_mut() {
            Some(block) if has_room => block.push(place),
            _ => blocks.push(vec![0, place]),
        }
    }
    blocks
}

impl Attempt {
    fn natural(&self, column: &Span) -> usize {
        if self.is_short { column.short } else { column.full }
    }

    /// The least width of a column.
    fn least(&self, column: &Span) -> usize {
        let natural = self.natural(column);
        column.heading.map_or(natural, |heading| natural.min(self.least.max(heading)))
    }

    /// The least width of the table.
    fn total(&self, columns: &[Span]) -> usize {
        let gaps = self.gap * columns.len().saturating_sub(1);
        INDENT + gaps + columns.iter().map(|column| self.least(column)).sum::<usize>()
    }

    /// Gives every column its least width, and distributes the remaining width over the columns whose texts would be cut.
    fn fit(&self, columns: &[Span], width: usize) -> Fit {
        let mut widths: Vec<usize> = columns.iter().map(|column| self.least(column)).collect();
        let mut spare = width.saturating_sub(self.total(columns));
        while spare > 0 {
            let wanting = (0..columns.len()).filter(|place| widths[*place] < self.natural(&columns[*place]));
            // The narrowest one first, so that all get about the same.
            let Some(narrowest) = wanting.min_by_key(|place| widths[*place]) else { break };
            widths[narrowest] += 1;
            spare -= 1;
        }
        Fit { is_short: self.is_short, gap: self.gap, widths }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn number(full: usize, short: usize) -> Span {
        Span { full, short, heading: None }
    }

    const fn name(full: usize) -> Span {
        Span { full, short: full, heading: Some(4) }
    }

    fn fitted(columns: &[Span], width: usize) -> (bool, usize, Vec<usize>) {
        let fit = fit(columns, width).unwrap();
        (fit.is_short, fit.gap, fit.widths)
    }

    #[test]
    fn texts_are_cut_only_after_headings_and_gaps_were_shortened() {
        let columns = [name(20), number(9, 4), number(9, 4)];
        assert_eq!(fitted(&columns, usize::MAX), (false, 2, vec![20, 9, 9]));
        assert_eq!(fitted(&columns, 44), (false, 2, vec![20, 9, 9]));
        assert_eq!(fitted(&columns, 43), (true, 2, vec![20, 4, 4]));
        assert_eq!(fitted(&columns, 33), (true, 1, vec![20, 4, 4]));
        assert_eq!(fitted(&columns, 31), (true, 2, vec![17, 4, 4]));
        assert_eq!(fitted(&columns, 20), (true, 1, vec![8, 4, 4]));
        assert_eq!(fit(&columns, 17), None);
    }

    #[test]
    fn spare_width_goes_to_the_narrowest_texts() {
        assert_eq!(fitted(&[name(36), name(8), name(20)], 2 + 4 + 42), (false, 2, vec![17, 8, 17]));
    }

    #[test]
    fn blocks_repeat_the_first_column() {
        let columns = [name(20), number(12, 9), number(12, 9), number(12, 9)];
        assert_eq!(blocks(&columns, 36), [vec![0, 1, 2], vec![0, 3]]);
        assert_eq!(blocks(&columns, 5), [vec![0, 1], vec![0, 2], vec![0, 3]]);
    }
}
