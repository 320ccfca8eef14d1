//! Charts as SVG: lines, stacked bars and intervals, each with its legend at the right.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 480);
/// Of the plot; what is left is the legend's.
const PLOT: u32 = 680;
const FONT: &str = "sans-serif";
const LINE: i32 = 18;

/// One axis; a logarithmic one takes and shows values, and spaces them by their logarithm.
#[derive(Clone, Debug)]
pub struct Axis {
    pub label: String,
    pub range: Range<f64>,
    pub log: bool,
}

impl Axis {
    pub fn linear(label: &str, range: Range<f64>) -> Self {
        Self { label: label.to_owned(), range, log: false }
    }

    /// The range's ends are above 0.
    pub fn log(label: &str, range: Range<f64>) -> Self {
        Self { label: label.to_owned(), range, log: true }
    }

    fn place(&self, value: f64) -> f64 {
        let inside = value.clamp(self.range.start, self.range.end);
        if self.log {
            inside.log10()
        } else {
            inside
        }
    }

    fn places(&self) -> Range<f64> {
        self.place(self.range.start)..self.place(self.range.end)
    }

    fn written(&self, place: f64) -> String {
        let value = if self.log { 10f64.powf(place) } else { place };
        match value.abs() {
            0.0 => "0".to_owned(),
            size if size < 0.01 => format!("{value:.0e}"),
            size if size < 10.0 => {
                format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => format!("{value:.0}"),
        }
    }
}

/// Title and axes.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
}

/// Points that a line joins.
#[derive(Clone, Debug)]
pub struct Line {
    pub label: String,
    pub points: Vec<(f64, f64)>,
    /// Honest ones and what is expected are dashed.
    pub dashed: bool,
}

/// A row of a chart of rows, the first at the top.
#[derive(Clone, Debug)]
pub struct Row {
    pub label: String,
    /// Lengths of stacked bars.
    pub parts: Vec<f64>,
    /// Low, middle, high of an interval.
    pub interval: Option<[f64; 3]>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn colour(index: usize) -> RGBAColor {
    Palette99::pick(index).mix(1.0)
}

/// Lines over two axes.
///
/// # Errors
/// The file cannot be written.
pub fn lines(path: &Path, chart: &Chart, lines: &[Line]) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, right) = root.split_horizontally(PLOT);
    let Chart { title, x, y } = chart;
    let mut context = ChartBuilder::on(&plot)
        .caption(title, (FONT, 17))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(x.places(), y.places())?;
    context
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(x.label.clone())
        .y_desc(y.label.clone())
        .x_label_formatter(&|place| x.written(*place))
        .y_label_formatter(&|place| y.written(*place))
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let points: Vec<(f64, f64)> = line.points.iter().map(|(a, b)| (x.place(*a), y.place(*b))).collect();
        let style = colour(index).stroke_width(2);
        if line.dashed {
            context.draw_series(DashedLineSeries::new(points, 5, 4, style))?;
        } else {
            context.draw_series(LineSeries::new(points, style))?;
        }
    }
    legend(&right, lines.iter().map(|line| line.label.as_str()))?;
    root.present()?;
    Ok(())
}

/// A row for each name: stacked bars or intervals. `parts` are the bars' names.
///
/// # Errors
/// The file cannot be written.
pub fn rows(path: &Path, title: &str, x: &Axis, rows: &[Row], parts: &[&str]) -> Result<()> {
    let height = 110 + 22 * rows.len() as u32;
    let root = SVGBackend::new(path, (SIZE.0, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, right) = root.split_horizontally(PLOT);
    let count = rows.len() as f64;
    let mut context = ChartBuilder::on(&plot)
        .caption(title, (FONT, 17))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(170)
        .build_cartesian_2d(x.places(), 0.0..count)?;
    context
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .light_line_style(WHITE)
        .x_desc(x.label.clone())
        .x_label_formatter(&|place| x.written(*place))
        .draw()?;
    for (index, row) in rows.iter().enumerate() {
        let middle = count - index as f64 - 0.5;
        let (left, y) = context.backend_coord(&(x.places().start, middle));
        let style = TextStyle::from((FONT, 13).into_font()).pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Right,
            plotters::style::text_anchor::VPos::Center,
        ));
        root.draw(&Text::new(row.label.clone(), (left - 6, y), style))?;
        let mut from = 0.0;
        for (part, length) in row.parts.iter().enumerate() {
            let corners = [(x.place(from), middle - 0.38), (x.place(from + length), middle + 0.38)];
            context.draw_series([Rectangle::new(corners, colour(part).filled())])?;
            from += length;
        }
        if let Some([low, centre, high]) = row.interval {
            let line = vec![(x.place(low), middle), (x.place(high), middle)];
            context.draw_series(LineSeries::new(line, colour(0).stroke_width(3)))?;
            context.draw_series([Circle::new((x.place(centre), middle), 4, colour(1).filled())])?;
        }
    }
    legend(&right, parts.iter().copied())?;
    root.present()?;
    Ok(())
}

fn legend<'a>(area: &Area<'_>, labels: impl Iterator<Item = &'a str>) -> Result<()> {
    for (index, label) in labels.enumerate() {
        let y = 44 + LINE * index as i32;
        area.draw(&Rectangle::new([(4, y), (18, y + 10)], colour(index).filled()))?;
        area.draw(&Text::new(label.to_owned(), (24, y - 2), (FONT, 13).into_font()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_chart_has_its_title_its_labels_and_a_mark_for_every_series() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.svg");
        let chart = Chart {
            title: "power".to_owned(),
            x: Axis::log("tokens", 1.0..128.0),
            y: Axis::linear("share", 0.0..1.0),
        };
        let line = |label: &str, dashed| Line {
            label: label.to_owned(),
            points: vec![(1.0, 0.1), (128.0, 7.0)],
            dashed,
        };
        lines(&path, &chart, &[line("fp8", false), line("honest", true)]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(["power", "tokens", "share", "fp8", "honest"].iter().all(|text| svg.contains(text)));
        let path = dir.path().join("rows.svg");
        let row = Row { label: "int4".to_owned(), parts: vec![2.0, 1.0], interval: Some([0.5, 1.0, 2.0]) };
        rows(&path, "counts", &Axis::linear("answers", 0.0..3.0), &[row], &["passed", "failed"]).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(["counts", "int4", "passed", "failed", "<circle"].iter().all(|text| svg.contains(text)));
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let axis = Axis::log("x", 1e-4..1.0);
        assert_eq!(axis.written(-4.0), "1e-4");
        assert_eq!(axis.written(0.0), "1");
        assert_eq!(Axis::linear("x", 0.0..1.0).written(0.25), "0.25");
        assert_eq!(Axis::linear("x", 0.0..100.0).written(40.0), "40");
    }
}
