//! Summary statistics.

/// Summary of repeated measurements.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; none for a single value.
    pub deviation: Option<f64>,
    /// The minimum.
    pub least: f64,
    /// The maximum.
    pub greatest: f64,
}

impl Summary {
    /// Summarizes values; none without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len() as f64;
        let first = *values.first()?;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            least: values.iter().copied().fold(first, f64::min),
            greatest: values.iter().copied().fold(first, f64::max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let summary = Summary::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((summary.mean, summary.least, summary.greatest), (5.0, 2.0, 9.0));
        assert!((summary.deviation.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_value_deviates_from_nothing() {
        let expected = Summary { mean: 3.0, deviation: None, least: 3.0, greatest: 3.0 };
        assert_eq!(Summary::of([3.0]), Some(expected));
        assert_eq!(Summary::of([]), None);
    }
}
