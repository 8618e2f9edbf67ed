//! Where things stand: the one place that knows, asked by drawing and by scrolling alike.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::tui::app::App;
use crate::tui::pixels::TILES;

use super::{details, images, legend, table};

/// Columns and rows below which nothing useful fits.
pub const SMALLEST: (u16, u16) = (60, 16);

/// From this width on charts stand beside the table.
const WIDE: u16 = 110;

/// What every screen has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub head: Rect,
    /// An early warning; else empty.
    pub alert: Rect,
    /// Everything between head and foot.
    pub body: Rect,
    pub foot: Rect,
}

/// `None` on a terminal that is too small.
pub fn frame(area: Rect) -> Option<Frame> {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return None;
    }
    let [head, alert, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    Some(Frame { head, alert, body, foot })
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

/// The smallest chart of a grid, and most charts side by side or on top of each other.
const CHART: (u16, u16) = (38, 8);
const GRID: u16 = 4;

/// The chart screen: a grid of charts above, the legend below.
pub fn charts(app: &App, body: Rect, n: usize) -> (Vec<Rect>, Rect) {
    let legend = legend::height(app).min(body.height / 4);
    let [charts, legend] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(legend)]).areas(body);
    let (columns, rows) = grid(charts, n);
    let lines = Layout::vertical(vec![Constraint::Fill(1); rows]).split(charts);
    let places = lines.iter().flat_map(|line| {
        let across = Layout::horizontal(vec![Constraint::Fill(1); columns]).spacing(1).split(*line);
        across.to_vec()
    });
    (places.take(n).collect(), legend)
}

/// Columns and rows for up to `n` charts.
fn grid(area: Rect, n: usize) -> (usize, usize) {
    let columns = usize::from((area.width / CHART.0).clamp(1, GRID)).min(n.max(1));
    let rows = usize::from((area.height / CHART.1).clamp(1, GRID)).min(n.div_ceil(columns).max(1));
    // Fewer columns where that leaves no hole: four charts are two by two, six three by two.
    let columns = n.clamp(1, columns * rows).div_ceil(rows);
    (columns, rows)
}

fn chart_area(app: &App) -> Rect {
    let screen = Rect::new(0, 0, app.size.0, app.size.1);
    let body = frame(screen).map_or(Rect::ZERO, |frame| frame.body);
    let legend = legend::height(app).min(body.height / 4);
    Rect { height: body.height - legend, ..body }
}

/// Charts of `n` that fit on screen.
pub fn charts_per_page(app: &App, n: usize) -> usize {
    let (columns, rows) = grid(chart_area(app), n);
    columns * rows
}

/// Columns of one chart's canvas, about.
pub fn chart_width(app: &App) -> u16 {
    let area = chart_area(app);
    let (columns, _) = grid(area, app.page_of_charts().len());
    (area.width / columns as u16).saturating_sub(6)
}

/// Lines of the run table that fit on screen.
pub fn table_page(app: &App) -> usize {
    let screen = Rect::new(0, 0, app.size.0, app.size.1);
    let table = frame(screen).map(|frame| runs(app, frame.body).table);
    table.map_or(1, |table| usize::from(table.height).saturating_sub(1))
}

/// Where images stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// Images side by side.
    pub columns: usize,
    /// Lines of them on screen.
    pub lines: usize,
}

/// The images screen: as many tiles as fit.
pub fn images(app: &App) -> Images {
    let screen = Rect::new(0, 0, app.size.0, app.size.1);
    let Some(frame) = frame(screen) else { return Images::default() };
    let (tile, body) = (app.tile(), frame.body);
    let apart = if app.has_strips() { images::APART } else { 0 };
    let width = body.width.saturating_sub(images::MARGIN + apart);
    let height = body.height.saturating_sub(images::HEAD + images::FOOT);
    Images {
        columns: usize::from((width + 1) / (tile.width + 1)).max(1),
        lines: usize::from(height / (tile.height + 1)).max(1),
    }
}

/// Where the map of a bank stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Map {
    pub canvas: Rect,
    /// The chosen point's strip, with a row for words beneath.
    pub strip: Rect,
}

pub fn map(app: &App, body: Rect) -> Map {
    let [_, canvas, strip, _] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(app.tile().height + 1),
        Constraint::Length(images::FOOT),
    ])
    .areas(body);
    Map { canvas, strip }
}

/// Index into [`TILES`] of the largest tile of which a strip leaves two thirds of the screen to the map.
pub fn map_tile(app: &App) -> usize {
    let third = app.size.1 / 3;
    TILES.iter().rposition(|tile| tile.height < third).unwrap_or(0)
}

/// The map's canvas on the whole screen; empty where nothing fits.
pub fn map_canvas(app: &App) -> Rect {
    let screen = Rect::new(0, 0, app.size.0, app.size.1);
    frame(screen).map_or(Rect::ZERO, |frame| map(app, frame.body).canvas)
}

/// The cell of a place in [0, 1]², which has its y upwards.
pub fn cell([x, y]: [f32; 2], canvas: Rect) -> (u16, u16) {
    let at = |share: f32, n: u16| ((share * f32::from(n)) as u16).min(n.saturating_sub(1));
    (canvas.x + at(x, canvas.width), canvas.y + at(1.0 - y, canvas.height))
}

/// The dot of such a place, of so many across and down.
pub fn dot([x, y]: [f32; 2], (across, down): (usize, usize)) -> (usize, usize) {
    let at = |share: f32, n: usize| ((share * n as f32) as usize).min(n.saturating_sub(1));
    (at(x, across), at(1.0 - y, down))
}
