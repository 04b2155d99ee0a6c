//! Markdown tables and medians.

use std::fmt;

/// A table with one column per server after the leading ones.
pub(super) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(super) fn new(leading: &[&str], servers: &[&str]) -> Table {
        let titles: Vec<&str> = leading.iter().chain(servers).copied().collect();
        let rule = vec!["---"; titles.len()];
        Table { lines: vec![format!("| {} |", titles.join(" | ")), format!("|{}|", rule.join("|"))] }
    }

    pub(super) fn row(&mut self, leading: &[String], cells: &[String]) {
        let all: Vec<&str> = leading.iter().chain(cells).map(String::as_str).collect();
        self.lines.push(format!("| {} |", all.join(" | ")));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// A measurement, and what ours is relative to it: below 1 is better.
pub(super) fn cell(text: &str, ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) => format!("{text} (**{ratio:.2}x**)"),
        None => text.to_string(),
    }
}

/// A row's cells, one per server, with what the first one's measure is relative to each.
pub(super) fn row<T>(values: &[T], measure: impl Fn(&T) -> f64, text: impl Fn(&T) -> String) -> Vec<String> {
    let ours = values.first().map_or(0.0, &measure);
    let ratio = |index: usize, value: &T| (index > 0).then(|| ours / measure(value));
    values.iter().enumerate().map(|(index, value)| cell(&text(value), ratio(index, value))).collect()
}

/// The middle value; the mean of the two middle ones of an even number, 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
