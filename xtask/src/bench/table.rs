//! Figures of a run, their medians, spreads and limits; the table on the terminal and in `docs/performance.md`.

use crate::sh::{Result, failure};
use std::borrow::Cow;
use std::fmt::Write;

/// What a figure has to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// At most so many times the peer's figure.
    Times(f64),
    /// At most this, in the figure's own unit.
    Most(f64),
    /// Reported only.
    None,
}

/// One figure over all rounds. Lower is better.
#[derive(Debug, Clone)]
pub struct Figure {
    pub row: String,
    pub what: String,
    pub unit: Cow<'static, str>,
    pub limit: Limit,
    pub own: Vec<f64>,
    pub peer: Vec<f64>,
}

/// The middle of some values; NaN when there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

impl Figure {
    /// Medians against each other, and the lowest and highest ratio of a round.
    fn ratio(&self) -> (f64, f64, f64) {
        let rounds = self.own.iter().zip(&self.peer).map(|(a, b)| a / b);
        let low = rounds.clone().fold(f64::INFINITY, f64::min);
        let high = rounds.fold(f64::NEG_INFINITY, f64::max);
        (median(&self.own) / median(&self.peer), low, high)
    }

    /// Whether the limit is kept; `None` when there is nothing to compare.
    pub fn passes(&self) -> Option<bool> {
        let (value, limit) = match self.limit {
            Limit::Times(limit) => (self.ratio().0, limit),
            Limit::Most(limit) => (median(&self.own), limit),
            Limit::None => return None,
        };
        if !value.is_finite() { None } else { Some(value <= limit) }
    }

    fn cells(&self) -> [String; 7] {
        let (ratio, low, high) = self.ratio();
        let ratio = if !ratio.is_finite() {
            "-".into()
        } else if self.own.len() > 1 {
            format!("{ratio:.2} ({low:.2}–{high:.2})")
        } else {
            format!("{ratio:.2}")
        };
        let limit = match self.limit {
            Limit::Times(n) => format!("≤ {n:.2}×"),
            Limit::Most(n) => format!("≤ {}", number(n)),
            Limit::None => String::new(),
        };
        let verdict = match self.passes() {
            Some(true) => "PASS",
            Some(false) => "MISS",
            None => "",
        };
        [self.row.clone(), format!("{} [{}]", self.what, self.unit), spread(&self.own), spread(&self.peer), ratio, limit, verdict.into()]
    }
}

fn number(n: f64) -> String {
    match n.abs() {
        x if x >= 1000.0 => format!("{n:.0}"),
        x if x >= 100.0 => format!("{n:.1}"),
        _ => format!("{n:.2}"),
    }
}

fn spread(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        0 => "-".into(),
        1 => number(values[0]),
        _ => format!("{} ({}–{})", number(median(values)), number(low), number(high)),
    }
}

/// Fails when a figure misses its limit.
pub fn verdict(figures: &[Figure]) -> Result<()> {
    let missed = figures.iter().filter(|f| f.passes() == Some(false)).count();
    if missed == 0 { Ok(()) } else { failure(format!("{missed} figure(s) miss their limit")) }
}

/// The table as Markdown, which is also readable on a terminal; with the names of ours and of the peer.
pub fn markdown(figures: &[Figure], [own, peer]: [&str; 2]) -> String {
    let heads = ["row", "figure", own, peer, "ratio", "limit", ""];
    let rows: Vec<[String; 7]> = figures.iter().map(Figure::cells).collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).chain([heads[i].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut out = String::new();
    let mut put = |cells: &[String; 7]| {
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(out, "| {cell}{} ", " ".repeat(width - cell.chars().count()));
        }
        out.push_str("|\n");
    };
    put(&heads.map(String::from));
    put(&std::array::from_fn(|i| "-".repeat(widths[i])));
    rows.iter().for_each(put);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(own: &[f64], peer: &[f64], limit: Limit) -> Figure {
        Figure { row: "r".into(), what: "w".into(), unit: "µs".into(), limit, own: own.into(), peer: peer.into() }
    }

    #[test]
    fn limits() {
        assert_eq!(figure(&[1.0, 9.0, 2.0], &[4.0, 4.0, 4.0], Limit::Times(0.5)).passes(), Some(true));
        assert_eq!(figure(&[2.1], &[4.0], Limit::Times(0.5)).passes(), Some(false));
        assert_eq!(figure(&[4.0, 5.0], &[], Limit::Most(4.4)).passes(), Some(false));
        assert_eq!(figure(&[4.0], &[], Limit::Times(1.0)).passes(), None);
        assert_eq!(figure(&[4.0], &[0.0], Limit::Times(1.0)).passes(), None);
        assert_eq!(figure(&[4.0], &[1.0], Limit::None).passes(), None);
    }

    #[test]
    fn table_lines_have_one_width() {
        let text = markdown(&[figure(&[1.0, 2.0], &[2.0, 4.0], Limit::Times(0.5)), figure(&[27_800.0], &[], Limit::None)], ["a", "b"]);
        let widths: Vec<usize> = text.lines().map(|l| l.chars().count()).collect();
        assert!(widths.len() == 4 && widths.iter().all(|w| *w == widths[0]), "{text}");
        assert!(text.contains("0.50 (0.50–0.50)") && text.contains("PASS"), "{text}");
    }
}
