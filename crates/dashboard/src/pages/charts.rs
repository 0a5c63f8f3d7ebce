//! Charts as SVG, drawn by the server. Sizes are attributes, colours are classes, and each has its numbers as a table.

use std::collections::BTreeMap;

/// Domains, as they are stacked from below.
pub(crate) const DOMAINS: [&str; 6] =
    ["code", "test", "dependency", "configuration", "infrastructure", "unknown"];

const HEIGHT: i64 = 120;
const STEP: i64 = 24;
const BAR: i64 = 16;

/// Columns by day, stacked by domain.
#[derive(Debug, Clone)]
pub(crate) struct DayChart {
    pub(crate) width: i64,
    pub(crate) height: i64,
    /// What the highest column counts.
    pub(crate) highest: i64,
    pub(crate) total: i64,
    pub(crate) days: Vec<Day>,
    /// The domains that occur.
    pub(crate) domains: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Day {
    pub(crate) day: String,
    pub(crate) total: i64,
    /// Where its failures are listed.
    pub(crate) href: String,
    /// Left edge of its column, and of the place that can be clicked.
    pub(crate) x: i64,
    pub(crate) blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) domain: &'static str,
    pub(crate) count: i64,
    pub(crate) y: i64,
    pub(crate) height: i64,
}

impl DayChart {
    /// The chart of these days, the oldest first; `query` goes in front of the link's own fields.
    pub(crate) fn of(days: Vec<(String, BTreeMap<String, i64>)>, query: &str) -> Self {
        let highest = days.iter().map(|(_, counts)| counts.values().sum::<i64>()).max().unwrap_or(0);
        let scale = |count: i64| {
            if count <= 0 {
                return 0;
            }
            // A single failure among hundreds is seen too.
            (count * HEIGHT / highest.max(1)).max(2)
        };
        let length = i64::try_from(days.len()).unwrap_or(0);
        let columns: Vec<Day> = days
            .into_iter()
            .zip(0..)
            .map(|((day, counts), index)| {
                let mut y = HEIGHT;
                let blocks = DOMAINS
                    .iter()
                    .filter_map(|domain| {
                        let count = counts.get(*domain).copied().filter(|count| *count > 0)?;
                        let height = scale(count);
                        y -= height;
                        Some(Block { domain, count, y, height })
                    })
                    .collect();
                let next = day
                    .parse::<jiff::civil::Date>()
                    .and_then(|date| date.tomorrow())
                    .map_or_else(|_| day.clone(), |date| date.to_string());
                Day {
                    total: counts.values().sum(),
                    href: format!("/failures?{query}since={day}&until={next}"),
                    day,
                    x: index * STEP,
                    blocks,
                }
            })
            .collect();
        let has =
            |domain: &str| columns.iter().any(|day| day.blocks.iter().any(|block| block.domain == domain));
        Self {
            width: length * STEP,
            // Small columns are drawn higher than they are; there is room for six of them.
            height: HEIGHT + 12,
            highest,
            total: columns.iter().map(|day| day.total).sum(),
            domains: DOMAINS.into_iter().filter(|domain| has(domain)).collect(),
            days: columns,
        }
    }

    pub(crate) fn bar(&self) -> i64 {
        BAR
    }

    pub(crate) fn step(&self) -> i64 {
        STEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_stacked_and_lead_to_their_day() {
        let counts =
            |code: i64, test: i64| BTreeMap::from([("code".to_owned(), code), ("test".to_owned(), test)]);
        let chart = DayChart::of(
            vec![("2026-01-30".to_owned(), counts(0, 0)), ("2026-01-31".to_owned(), counts(300, 1))],
            "",
        );
        assert_eq!((chart.highest, chart.total, chart.width), (301, 301, 48));
        assert_eq!(chart.domains, ["code", "test"]);
        let day = &chart.days[1];
        assert_eq!(day.href, "/failures?since=2026-01-31&until=2026-02-01");
        assert_eq!(day.blocks[0].y, HEIGHT - day.blocks[0].height);
        assert_eq!(day.blocks[1].height, 2, "a single failure is seen");
        assert!(chart.days[0].blocks.is_empty());
    }
}
