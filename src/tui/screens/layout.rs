//! Where things stand: the one place that knows, asked by drawing and by scrolling alike.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::app::App;

use super::{details, legend, table};

/// Columns and rows below which nothing useful fits.
pub const SMALLEST: (u16, u16) = (60, 16);

/// From this width on charts stand beside the table.
const WIDE: u16 = 110;

/// What every screen has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub head: Rect,
    /// Everything between head and foot.
    pub body: Rect,
    pub foot: Rect,
}

/// `None` on a terminal that is too small.
pub fn frame(area: Rect) -> Option<Frame> {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return None;
    }
    let [head, _, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    Some(Frame { head, body, foot })
}

/// The run screen's parts; those without room are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    pub table: Rect,
    /// Between table and charts.
    pub rule: Rect,
    pub charts: [Rect; 2],
    pub legend: Rect,
    pub details: Rect,
}

pub fn runs(app: &App, body: Rect) -> Runs {
    let mut areas = Runs::default();
    if app.zoomed {
        areas.table = body;
    } else if body.width >= WIDE {
        beside(app, body, &mut areas);
    } else {
        below(app, body, &mut areas);
    }
    areas
}

fn beside(app: &App, body: Rect, areas: &mut Runs) {
    // The charts get what the table can spare, and never less than a third.
    let table = table::natural_width(app).clamp(48, body.width * 2 / 3);
    let right;
    [areas.table, areas.rule, right] =
        Layout::horizontal([Constraint::Length(table), Constraint::Length(1), Constraint::Fill(1)])
            .spacing(1)
            .areas(body);
    let legend = legend::height(app).min(body.height / 4);
    let details = details::height(app, right.width).min(body.height / 2);
    [areas.charts[0], areas.charts[1], areas.legend, areas.details] = Layout::vertical([
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(legend),
        Constraint::Length(details),
    ])
    .areas(right);
}

fn below(app: &App, body: Rect, areas: &mut Runs) {
    let rows = app.table.lines().len() as u16 + 1;
    let table = rows.clamp(4, (body.height * 2 / 5).max(5));
    // The curves keep six rows; words about the chosen run come before the legend.
    let spare = body.height.saturating_sub(table + 1 + 6);
    let details = details::height(app, body.width).min(spare.max(1));
    let legend = legend::height(app).min(spare.saturating_sub(details));
    let charts;
    [areas.table, areas.rule, charts, areas.legend, areas.details] = Layout::vertical([
        Constraint::Length(table),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(legend),
        Constraint::Length(details),
    ])
    .areas(body);
    areas.charts =
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(charts);
}

/// The chart screen: charts above, legend below.
pub fn charts(app: &App, body: Rect) -> Runs {
    let legend = legend::height(app).min(body.height / 4);
    let [charts, legend] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(legend)]).areas(body);
    let charts = match body.width >= WIDE {
        true => Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).areas(charts),
        false => Layout::vertical([Constraint::Fill(1); 2]).areas(charts),
    };
    Runs { charts, legend, ..Runs::default() }
}

/// Lines of the run table that fit on screen.
pub fn table_page(app: &App) -> usize {
    let screen = Rect::new(0, 0, app.size.0, app.size.1);
    let table = frame(screen).map(|frame| runs(app, frame.body).table);
    table.map_or(1, |table| usize::from(table.height).saturating_sub(1))
}
