//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use super::metric::Metric;

/// A page of metrics.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// The series of one metric.
pub(super) struct Series<'p> {
    page: &'p mut Page,
    metric: &'static Metric,
}

impl Page {
    /// Starts a metric. Its header is on the page even if it has no value.
    pub(super) fn metric(&mut self, metric: &'static Metric) -> Series<'_> {
        let Metric { name, kind, help, .. } = metric;
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.as_str());
        Series { page: self, metric }
    }

    /// A metric with one value and no labels.
    pub(super) fn value(&mut self, metric: &'static Metric, value: f64) {
        self.metric(metric).value(&[], value);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Series<'_> {
    /// Adds a value. The labels are those of the metric, in the same order.
    pub(super) fn value(&mut self, labels: &[&str], value: f64) {
        self.line("", labels, None, value);
    }

    /// Adds a histogram: the number of values up to each bound, the number of all values, and their sum.
    pub(super) fn histogram(&mut self, labels: &[&str], buckets: &[(f64, u64)], count: u64, sum: f64) {
        for (bound, up_to) in buckets {
            self.line("_bucket", labels, Some(&bound.to_string()), *up_to as f64);
        }
        self.line("_bucket", labels, Some("+Inf"), count as f64);
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count as f64);
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: f64) {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "{}", self.metric.name);
        let all = self.metric.labels.iter().copied().zip(labels.iter().copied());
        let all: Vec<String> = all
            .chain(bound.map(|bound| ("le", bound)))
            .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
            .collect();
        let labels = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
        let _ = writeln!(self.page.0, "{}{suffix}{labels} {value}", self.metric.name);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::Page;
    use crate::metrics::metric::{DURATION, HANDED_BACK, UP};

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.metric(&HANDED_BACK).value(&["a\\b\"c\nd"], 2.0);
        let text = page.into_text();
        assert!(text.ends_with("\nflowsmith_worker_tasks_handed_back_total{flow=\"a\\\\b\\\"c\\nd\"} 2\n"), "{text}");
    }

    #[test]
    fn metric_without_values_has_a_header() {
        let mut page = Page::default();
        page.metric(&UP);
        assert!(page.into_text().ends_with("\n# TYPE flowsmith_database_up gauge\n"));
    }

    #[test]
    fn histogram_ends_with_the_infinite_bucket_sum_and_count() {
        let mut page = Page::default();
        page.metric(&DURATION).histogram(&["f", "a"], &[(0.005, 1), (60.0, 3)], 4, 100.25);
        let text = page.into_text();
        let name = "flowsmith_worker_task_duration_seconds";
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                format!("{name}_bucket{{flow=\"f\",step=\"a\",le=\"0.005\"}} 1"),
                format!("{name}_bucket{{flow=\"f\",step=\"a\",le=\"60\"}} 3"),
                format!("{name}_bucket{{flow=\"f\",step=\"a\",le=\"+Inf\"}} 4"),
                format!("{name}_sum{{flow=\"f\",step=\"a\"}} 100.25"),
                format!("{name}_count{{flow=\"f\",step=\"a\"}} 4"),
            ]
        );
    }
}
