//! The live table, and the lines that tell the story beside it.

use std::io::{IsTerminal, Write};

use crate::standing::Standing;

/// One Q16 bit of evidence.
const BIT: f64 = 65_536.0;
const HEADER: [&str; 11] = [
    "node",
    "role",
    "inferences",
    "sampled",
    "valid",
    "fail",
    "inconclusive",
    "CUSUM/bound",
    "reputation",
    "paid",
    "forfeited",
];
/// Columns of text; the others are numbers and stand to the right.
const TEXT_COLUMNS: usize = 2;

/// Standard output: on a terminal the table is redrawn in place, elsewhere it is printed when asked for.
pub struct Screen {
    terminal: bool,
    /// Lines of the table that stand at the end of the terminal.
    drawn: usize,
    shown: Vec<String>,
}

impl Screen {
    pub fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: 0, shown: Vec::new() }
    }

    /// A line that stays, above the table.
    pub fn say(&mut self, line: &str) {
        self.erase();
        println!("{line}");
        let shown = std::mem::take(&mut self.shown);
        self.redraw(shown);
    }

    /// Redraws the table in place; does nothing where the output is no terminal.
    pub fn update(&mut self, title: String, standings: &[Standing]) {
        if self.terminal {
            self.erase();
            self.redraw([vec![title], lines(standings)].concat());
        }
    }

    /// Prints the table for good.
    pub fn print(&mut self, title: String, standings: &[Standing]) {
        self.erase();
        self.shown.clear();
        println!("\n{title}\n{}\n", lines(standings).join("\n"));
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up so many lines, to the first column, and clear all below.
            print!("\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn redraw(&mut self, shown: Vec<String>) {
        if self.terminal {
            for line in &shown {
                println!("{line}");
            }
            self.drawn = shown.len();
        }
        self.shown = shown;
        // Only a pace matters here: a terminal that is gone is noticed at the next line.
        std::io::stdout().flush().unwrap_or_default();
    }
}

/// Header and one line for each node, in columns.
pub fn lines(standings: &[Standing]) -> Vec<String> {
    let rows: Vec<[String; HEADER.len()]> =
        std::iter::once(HEADER.map(str::to_owned)).chain(standings.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..HEADER.len()).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let pad = |(column, cell): (usize, &String)| match column < TEXT_COLUMNS {
        true => format!("{cell:<width$}", width = widths[column]),
        false => format!("{cell:>width$}", width = widths[column]),
    };
    rows.iter().map(|row| row.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ")).collect()
}

fn cells(standing: &Standing) -> [String; HEADER.len()] {
    let closed = standing.closed();
    let bits = |q16: i64| q16 as f64 / BIT;
    [
        standing.name.into(),
        standing.role.clone(),
        standing.sum(|epoch| epoch.inferences).to_string(),
        standing.sum(|epoch| epoch.sampled).to_string(),
        closed.valid.to_string(),
        closed.fail.to_string(),
        (closed.inconclusive + closed.unavailable).to_string(),
        format!("{:.1}/{:.1}", bits(standing.cusum.highest().max(0)), bits(standing.bound)),
        format!("{:.2}", f64::from(standing.reputation.0) / f64::from(assay_common::params::PPM)),
        thousands(standing.sum(|epoch| epoch.reward.u128())),
        thousands(standing.sum(|epoch| epoch.refunded.u128())),
    ]
}

/// A number with a comma after every three digits.
pub fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_common::evidence::Cusum;
    use assay_common::params::PerAlternative;
    use assay_common::reputation::Reputation;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }

    #[test]
    fn columns_line_up() {
        let standing = |name, role: &str, cusum| Standing {
            name,
            address: String::new(),
            role: role.into(),
            reputation: Reputation(200_000),
            cusum: Cusum(PerAlternative([0, 0, cusum])),
            bound: 2_934_049,
            epochs: Vec::new(),
        };
        let lines =
            lines(&[standing("alder", "honest", -5), standing("rowan", "cheat (wrong-seed)", 348_777)]);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{lines:#?}");
        assert!(lines[1].contains("0.0/44.8") && lines[2].contains("5.3/44.8"), "{lines:#?}");
        assert!(lines[2].contains("cheat (wrong-seed)"), "{lines:#?}");
    }
}
