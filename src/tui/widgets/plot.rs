//! Curves in braille dots, two by four to a cell.
//!
//! ratatui's own chart paints all series into one grid, so that a cell in which two runs meet takes dots of both and the
//! colour of one, and it walks every point at every frame. Here a series arrives as one [`Span`] a dot column and is
//! opaque: a cell shows one series, the later one on top. Where colour is missing a marker and a dash tell series apart;
//! a dash leaves out flat stretches only, never a spike.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::Widget;

use crate::tui::curves::Span;
use crate::tui::theme::{self, Ink, THEME};

use super::axes::Axes;
use super::dots::Dots;
use super::level::Level;
use super::range::Range;

/// How a line is broken, in dot columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
    DashDotted,
}

impl Dash {
    pub const ALL: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::DashDotted];

    /// How the line of a colour slot is broken.
    pub fn of(slot: usize) -> Dash {
        Self::ALL[slot % Self::ALL.len()]
    }

    fn draws(self, column: usize) -> bool {
        match self {
            Dash::Solid => true,
            Dash::Dashed => column % 8 < 5,
            Dash::Dotted => column % 4 < 2,
            Dash::DashDotted => !matches!(column % 11, 6 | 7 | 9 | 10),
        }
    }
}

/// One series, collapsed to the canvas' dot columns.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub spans: &'a [Span],
    pub ink: Ink,
    pub marker: &'a str,
    pub dash: Dash,
}

/// Mean ± standard deviation around a line: a veil of dots behind it.
#[derive(Clone, Copy, Debug)]
pub struct Veil<'a> {
    /// (column, low, high).
    pub around: &'a [(usize, f64, f64)],
    pub ink: Ink,
}

/// Axes, levels, veils and lines, the last line on top.
#[derive(Clone, Debug)]
pub struct Plot<'a> {
    pub axes: Axes<'a>,
    /// Places where a run went on from a checkpoint.
    pub resumed: &'a [(f64, Ink)],
    pub levels: &'a [Level],
    pub veils: &'a [Veil<'a>],
    /// Raw lines behind smoothed ones: faint, without markers.
    pub behind: &'a [Line<'a>],
    pub lines: &'a [Line<'a>],
    /// A place that is looked at.
    pub crosshair: Option<f64>,
}

impl Widget for &Plot<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let canvas = self.axes.canvas(area);
        if canvas.is_empty() {
            return;
        }
        self.axes.draw(area, buf);
        let mut trace = Trace::new(canvas, self.axes.y);
        for line in self.behind {
            trace.dots.clear();
            trace.line(line);
            trace.dots.paint(theme::fg(line.ink).add_modifier(Modifier::DIM), buf);
        }
        for veil in self.veils {
            trace.dots.clear();
            trace.veil(veil.around);
            trace.dots.paint(theme::fg(veil.ink).add_modifier(Modifier::DIM), buf);
        }
        for level in self.levels {
            level.draw(&self.axes, canvas, buf);
        }
        let several = self.lines.len() > 1;
        for (i, line) in self.lines.iter().enumerate() {
            trace.dots.clear();
            trace.line(line);
            trace.dots.paint(theme::fg(line.ink), buf);
            draw_markers(line, several.then_some(i), &trace, buf);
        }
        // Last, where the curves leave room.
        for level in self.levels {
            level.draw_name(&self.axes, canvas, buf);
        }
        for (place, ink) in self.resumed {
            if let Some(x) = self.axes.column(*place, canvas) {
                buf.set_string(x, canvas.bottom() - 1, "↻", theme::fg(*ink));
            }
        }
        if let Some(x) = self.crosshair.and_then(|place| self.axes.column(place, canvas)) {
            for y in canvas.top()..canvas.bottom() {
                // Curves stay readable: the hair passes behind them.
                if buf[(x, y)].symbol() == " " {
                    buf.set_string(x, y, "│", theme::fg(THEME.accent));
                }
            }
        }
    }
}

/// Marks the newest point, and every so often the line on its way where several must be told apart.
fn draw_markers(line: &Line, index: Option<usize>, trace: &Trace, buf: &mut Buffer) {
    const APART: usize = 24;
    let mut mark = |span: &Span| {
        if let Some(row) = trace.row(span.last) {
            let canvas = trace.dots.canvas;
            let (x, y) = (canvas.x + (span.column / 2) as u16, canvas.y + (row / 4) as u16);
            if x < canvas.right() {
                buf.set_string(x, y, line.marker, theme::fg(line.ink));
            }
        }
    };
    if let Some(index) = index {
        let mut next = 6 + index * 5 % APART;
        for span in line.spans {
            if span.column / 2 >= next {
                mark(span);
                next = span.column / 2 + APART;
            }
        }
    }
    if let Some(last) = line.spans.last() {
        mark(last);
    }
}

/// One series' dots on an axis.
struct Trace {
    dots: Dots,
    y: Range,
}

impl Trace {
    fn new(canvas: Rect, y: Range) -> Self {
        Self { dots: Dots::new(canvas), y }
    }

    /// Dot row of a value; `None` outside the axis.
    fn row(&self, value: f64) -> Option<usize> {
        let (_, rows) = self.dots.size();
        let share = 1.0 - self.y.share(value);
        (-1e-9..=1.0 + 1e-9)
            .contains(&share)
            .then(|| ((share * (rows - 1) as f64 + 0.5) as usize).min(rows - 1))
    }

    /// As [`Trace::row`], with what lies outside at the edge.
    fn edge(&self, value: f64) -> usize {
        let (_, rows) = self.dots.size();
        self.row(value).unwrap_or(if value > self.y.to { 0 } else { rows - 1 })
    }

    fn line(&mut self, line: &Line) {
        for (i, span) in line.spans.iter().enumerate() {
            let (top, bottom) = (self.edge(span.max), self.edge(span.min));
            let alone = !span.joined && line.spans.get(i + 1).is_none_or(|next| !next.joined);
            if alone || bottom - top > 1 || line.dash.draws(span.column) {
                (top..=bottom).for_each(|row| self.dots.set(span.column, row));
            }
            if span.joined && i > 0 {
                self.connect(&line.spans[i - 1], span, line.dash);
            }
        }
    }

    /// The straight way from one span's last value to the next one's first.
    fn connect(&mut self, from: &Span, to: &Span, dash: Dash) {
        let (y0, y1) = (self.edge(from.last) as f64, self.edge(to.first) as f64);
        let run = to.column.saturating_sub(from.column);
        if run == 0 {
            return;
        }
        let slope = (y1 - y0) / run as f64;
        let steep = slope.abs() >= 2.0;
        for i in 0..=run {
            // Dots whose centres lie on this column's part of the way; one at least.
            let y = y0 + slope * i as f64;
            let clamp = |y: f64| y.clamp(y0.min(y1), y0.max(y1));
            let (a, b) = (clamp(y - slope / 2.0), clamp(y + slope / 2.0));
            let (low, high) = ((a.min(b) - 1e-9).ceil() as usize, (a.max(b) + 1e-9) as usize);
            if steep || dash.draws(from.column + i) {
                self.dots.set(from.column + i, (y + 0.5) as usize);
                (low..=high).for_each(|row| self.dots.set(from.column + i, row));
            }
        }
    }

    /// One dot in four between the bounds of each column.
    fn veil(&mut self, around: &[(usize, f64, f64)]) {
        for &(column, low, high) in around {
            for row in self.edge(high)..=self.edge(low) {
                if (column + 2 * row).is_multiple_of(4) {
                    self.dots.set(column, row);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::curves::{Along, Sample, Series, Window};

    fn series(values: &[f64]) -> Series {
        let mut series = Series::default();
        for (step, &value) in values.iter().enumerate() {
            series.push(Sample { step: step as u64, sec: 0.0, value });
        }
        series
    }

    fn spans(values: &[f64], columns: usize) -> Vec<Span> {
        let range = Range::linear(0.0, (values.len() - 1) as f64);
        series(values).collapse(&Window { along: Along::Steps { each: 1.0 }, range }, columns)
    }

    fn plot<'a>(levels: &'a [Level], lines: &'a [Line<'a>]) -> Plot<'a> {
        let (x, y) = (Range::linear(0.0, 1.0), Range::linear(0.0, 2.0));
        let axes = Axes { x, y, x_unit: "step", seconds: false, names: &[] };
        Plot { axes, resumed: &[], levels, veils: &[], behind: &[], lines, crosshair: None }
    }

    fn rendered(plot: &Plot, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        plot.render(area, &mut buf);
        text(&buf)
    }

    /// Draws `curves` into a canvas of `width`×`height` cells without axes.
    fn drawn(curves: &[&[f64]], dash: Dash, width: u16, height: u16) -> Buffer {
        let canvas = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(canvas);
        for (i, values) in curves.iter().enumerate() {
            let spans = spans(values, usize::from(width) * 2);
            let line = Line { spans: &spans, ink: THEME.series[i], marker: "●", dash };
            let mut trace = Trace::new(canvas, Range::linear(0.0, 1.0));
            trace.line(&line);
            trace.dots.paint(theme::fg(line.ink), &mut buf);
        }
        buf
    }

    fn text(buf: &Buffer) -> Vec<String> {
        let width = usize::from(buf.area.width).max(1);
        buf.content
            .chunks(width)
            .map(|row| row.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }

    #[test]
    fn a_rising_line_is_connected() {
        let buf = drawn(&[&[0.0, 1.0]], Dash::Solid, 4, 2);
        assert_eq!(text(&buf), ["  ⡠⠊", "⡠⠊  "]);
    }

    #[test]
    fn a_spike_of_one_point_reaches_the_top() {
        let mut values = vec![0.0; 1000];
        values[500] = 1.0;
        for dash in Dash::ALL {
            let buf = drawn(&[&values], dash, 5, 2);
            assert_eq!(buf[(2, 0)].symbol(), "⢸", "{dash:?}");
        }
    }

    #[test]
    fn a_nan_is_a_gap() {
        let buf = drawn(&[&[0.0, 0.0, f64::NAN, f64::NAN, 0.0, 0.0]], Dash::Solid, 3, 1);
        assert_eq!(text(&buf), ["⣀ ⣀"]);
    }

    #[test]
    fn a_cell_shows_one_series() {
        // Both lines touch every cell; the later one owns them all, and no dot of the earlier one is left in them.
        let low: &[f64] = &[0.3, 0.3];
        let high: &[f64] = &[0.7, 0.7];
        let both = drawn(&[low, high], Dash::Solid, 3, 1);
        let mut alone = drawn(&[high], Dash::Solid, 3, 1);
        alone.set_style(alone.area, theme::fg(THEME.series[1]));
        assert_eq!(both, alone);
    }

    #[test]
    fn dashes_break_flat_lines_only() {
        let flat = drawn(&[&[0.5, 0.5]], Dash::Dashed, 8, 1);
        assert_eq!(text(&flat), ["⠤⠤⠄ ⠤⠤⠄ "]);
    }

    #[test]
    fn levels_stand_behind_the_lines_with_their_name() {
        let spans = spans(&[0.0, 0.0], 34);
        let line = Line { spans: &spans, ink: THEME.series[0], marker: "●", dash: Dash::Solid };
        let levels = [Level::new(1.0, "chance"), Level::new(80.4, "paper")];
        let shown = rendered(&plot(&levels, &[line]), 20, 5);
        assert!(shown[2].ends_with("╌╌╌╌chance╌"), "{shown:?}");
        assert!(shown[4].ends_with('●'), "{shown:?}");
        assert!(shown[0].ends_with("paper 80.40 ↑ "), "what lies beyond is named: {shown:?}");
    }

    #[test]
    fn a_level_is_named_where_curves_leave_room() {
        let levels = [Level::new(1.0, "chance")];
        let below_then_on: Vec<f64> = (0..34).map(|i| if i < 20 { 0.2 } else { 1.0 }).collect();
        let line_over = |values: &[f64]| {
            let spans = spans(values, 34);
            let line =
                Line { spans: &spans, ink: THEME.series[0], marker: "●", dash: Dash::Solid };
            rendered(&plot(&levels, &[line]), 20, 5)[2].clone()
        };
        let row = line_over(&below_then_on);
        let name = row.find("chance").unwrap();
        assert!(row[name..].contains('●') && !row[..name].contains('●'), "{row}");
        let row = line_over(&[1.0; 34]);
        assert!(!row.contains(|letter: char| letter.is_alphabetic()), "half a name: {row}");
    }

    #[test]
    fn a_published_curve_is_drawn_as_far_as_it_goes() {
        let curve = vec![(0.0, 0.0), (0.5, 2.0), (0.75, 2.0)];
        let level = Level { curve, ..Level::new(2.0, "paper") };
        let shown = rendered(&plot(std::slice::from_ref(&level), &[]), 20, 5);
        let row = |y: usize| shown[y].chars().skip(3).collect::<String>();
        assert!(row(4).contains('╌') && row(2).contains('╌'), "it rises: {shown:?}");
        let top = row(0);
        assert!(top.contains("╌paper "), "named at its end: {shown:?}");
        // Above the axes all along, it is named at the edge with its last value.
        let high = Level { curve: vec![(0.0, 60.0), (1.0, 68.0)], ..Level::new(84.0, "paper") };
        let shown = rendered(&plot(&[high], &[]), 24, 5);
        assert!(shown[0].contains("paper 67.") && shown[0].contains('↑'), "{shown:?}");
    }

    #[test]
    fn a_veil_and_a_crosshair_leave_the_line_readable() {
        let spans = spans(&[1.0, 1.0], 34);
        let line = Line { spans: &spans, ink: THEME.series[0], marker: "●", dash: Dash::Solid };
        let around: Vec<_> = (0..34).map(|column| (column, 0.5, 1.5)).collect();
        let veil = Veil { around: &around, ink: THEME.series[0] };
        let lines = [line];
        let without = rendered(&plot(&[], &lines), 20, 5);
        let mut with = plot(&[], &lines);
        with.veils = std::slice::from_ref(&veil);
        with.crosshair = Some(0.5);
        let with = rendered(&with, 20, 5);
        assert_eq!(with[2], without[2], "the line itself");
        assert_ne!(with[1], without[1]);
        assert!(with[0].contains('│') && with[4].contains('│'), "{with:?}");
    }

    #[test]
    fn nothing_is_drawn_into_no_space() {
        for (w, h) in [(0, 0), (1, 1), (3, 1), (2, 9), (9, 2)] {
            rendered(&plot(&[Level::new(9.0, "x")], &[]), w, h);
        }
    }
}
