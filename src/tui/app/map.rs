//! The map on the images screen: how it was made, which point is chosen, and how keys move from point to point.

use std::sync::Arc;

use crate::data::UNLABELLED;
use crate::saved::{Method, Neighbours};
use crate::tui::effect::{Ask, Effect};
use crate::tui::images::Map;
use crate::tui::keys::Action;
use crate::tui::screens::layout;

use super::App;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapView {
    /// It stands in place of the strips.
    pub on: bool,
    /// A cell has the mark of a class in place of dots.
    pub marks: bool,
    /// The chosen point.
    pub at: usize,
    /// There at once.
    pca: Option<Arc<Map>>,
    /// There some seconds later.
    tsne: Option<Arc<Map>>,
    /// The one that was asked for; else t-SNE as soon as it is there.
    method: Option<Method>,
    asked: bool,
}

impl MapView {
    /// The map that is looked at, or why there is none.
    pub fn shown(&self) -> Option<&Arc<Map>> {
        let drawn = |method: Method| self.by(method).filter(|map| map.why.is_none());
        let wanted = self.method.and_then(drawn);
        let any = || drawn(Method::Tsne).or(drawn(Method::Pca)).or(self.by(Method::Pca));
        wanted.or_else(any)
    }

    /// t-SNE is still being worked out.
    pub fn is_half_drawn(&self) -> bool {
        self.tsne.is_none() && self.pca.as_ref().is_some_and(|map| !map.rows.is_empty())
    }

    fn by(&self, method: Method) -> Option<&Arc<Map>> {
        match method {
            Method::Pca => self.pca.as_ref(),
            Method::Tsne => self.tsne.as_ref(),
        }
    }

    /// After a new search: the maps are of an old one.
    pub(super) fn forget(&mut self) {
        let Self { on, marks, method, .. } = *self;
        *self = Self { on, marks, method, ..Self::default() };
    }
}

impl App {
    /// Whether the map is on screen.
    pub fn has_map(&self) -> bool {
        self.images.map.on && self.has_strips()
    }

    /// Number and class of the image of a point.
    pub fn mapped(&self, point: usize) -> Option<(u32, u16)> {
        let row = *self.images.map.shown()?.rows.get(point)?;
        let labels = &self.images.found.as_ref()?.labels;
        Some((row, labels.get(row as usize).copied().unwrap_or(UNLABELLED)))
    }

    /// Whether the class filter lets a point stand out.
    pub fn stands_out(&self, point: usize) -> bool {
        let wanted = self.images.class;
        wanted.is_none_or(|class| self.mapped(point).is_some_and(|(_, of)| of == class))
    }

    /// The chosen point's neighbours.
    pub fn mapped_strip(&self) -> Option<&Neighbours> {
        let (row, _) = self.mapped(self.images.map.at).filter(|_| self.has_map())?;
        self.images.found.as_ref()?.strip_of(row)
    }

    /// Shows the map, or the strips again.
    pub(super) fn switch_map(&mut self) {
        self.images.map.on = !self.images.map.on;
        self.choose_query();
    }

    /// Chooses the image of the strips' cursor where it is on the map.
    fn choose_query(&mut self) {
        let query = self.strip(self.images.cursor).map(|strip| strip.query as u32);
        if let (Some(map), Some(query)) = (self.images.map.shown(), query)
            && let Ok(at) = map.rows.binary_search(&query)
        {
            self.images.map.at = at;
        }
        self.stay_among_shown();
    }

    pub(super) fn act_on_map(&mut self, action: Action) {
        match action {
            Action::Left => self.step_on_map(-1.0, 0.0),
            Action::Right => self.step_on_map(1.0, 0.0),
            Action::Up => self.step_on_map(0.0, 1.0),
            Action::Down => self.step_on_map(0.0, -1.0),
            Action::Map | Action::Back => self.switch_map(),
            Action::Method => self.switch_method(),
            Action::Marks => self.images.map.marks = !self.images.map.marks,
            Action::Open => {
                if let Some((row, _)) = self.mapped(self.images.map.at) {
                    self.images.map.on = false;
                    self.go_to_strip(row);
                }
            }
            Action::NextClass => self.images.next_class(1),
            Action::PreviousClass => self.images.next_class(-1),
            _ => {}
        }
        self.stay_among_shown();
    }

    /// From principal components to t-SNE, and back.
    fn switch_method(&mut self) {
        let Some(now) = self.images.map.shown().map(|map| map.method) else { return };
        let other = if now == Method::Pca { Method::Tsne } else { Method::Pca };
        match self.images.map.by(other).map(|map| map.why.clone()) {
            Some(None) => self.images.map.method = Some(other),
            Some(Some(why)) => self.say(false, format!("there is no {}: {why}", other.name())),
            None => self.say(false, format!("{} is still being worked out", other.name())),
        }
    }

    /// To the next point in a direction: one column away at least, as straight ahead as can be had, and never aside where
    /// one lies ahead.
    fn step_on_map(&mut self, right: f32, up: f32) {
        let next = self.nearest_point(|[x, y]| {
            let (ahead, aside) = (x * right + y * up, (x * up).abs() + (y * right).abs());
            let detour = if aside <= ahead { 0.0 } else { 1e6 };
            (ahead >= 1.0).then_some(ahead + 2.0 * aside + detour)
        });
        self.images.map.at = next.unwrap_or(self.images.map.at);
    }

    /// To the nearest point that the class filter leaves.
    fn stay_among_shown(&mut self) {
        if !self.stands_out(self.images.map.at) {
            let nearest = self.nearest_point(|[x, y]| Some(x.hypot(y)));
            self.images.map.at = nearest.unwrap_or(self.images.map.at);
        }
    }

    /// The point nearest to a cell.
    pub(super) fn choose_point(&mut self, x: u16, y: u16) {
        let canvas = layout::map_canvas(self);
        let Some(map) = self.images.map.shown().cloned() else { return };
        let far = |point: &usize| {
            let place = map.places.get(*point).copied().unwrap_or_default();
            let (column, row) = layout::cell(place, canvas);
            let (dx, dy) = (column.abs_diff(x), 2 * row.abs_diff(y));
            u32::from(dx).pow(2) + u32::from(dy).pow(2)
        };
        let shown = (0..map.places.len()).filter(|&point| self.stands_out(point));
        if let Some(point) = shown.min_by_key(far) {
            self.images.map.at = point;
        }
    }

    /// Of all points that stand out the one that `cost` finds least far from the chosen one; it is given the way there, in
    /// columns, a row being two.
    fn nearest_point(&self, cost: impl Fn([f32; 2]) -> Option<f32>) -> Option<usize> {
        let map = self.images.map.shown()?;
        let from = *map.places.get(self.images.map.at)?;
        let canvas = layout::map_canvas(self);
        let (wide, high) = (f32::from(canvas.width), 2.0 * f32::from(canvas.height));
        let others = map.places.iter().enumerate();
        let others = others.filter(|(point, _)| *point != self.images.map.at);
        let shown = others.filter(|(point, _)| self.stands_out(*point));
        let costs = shown.filter_map(|(point, place)| {
            let way = [(place[0] - from[0]) * wide, (place[1] - from[1]) * high];
            Some((point, cost(way)?))
        });
        costs.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(point, _)| point)
    }

    pub(super) fn take_map(&mut self, map: Arc<Map>) {
        let found = self.images.found.as_ref();
        if found.is_some_and(|found| (&found.run, found.step) == (&map.run, Some(map.step))) {
            let view = &mut self.images.map;
            // Both have the same images: a point that was chosen on one is the same on the other.
            let is_first = view.shown().is_none_or(|map| map.places.is_empty());
            match map.method {
                Method::Pca => view.pca = Some(map),
                Method::Tsne => view.tsne = Some(map),
            }
            if is_first {
                self.choose_query();
            }
        }
    }

    /// Asks for the map once it is looked at.
    pub(super) fn ask_for_map(&mut self, effects: &mut Vec<Effect>) {
        let step = self.images.found.as_ref().and_then(|found| found.step);
        let shown = self.has_map() && self.images.is_current();
        if let (true, false, Some(step)) = (shown, self.images.map.asked, step) {
            let run = self.images.found.as_ref().map(|found| found.run.clone());
            effects.extend(run.map(|run| Effect::Ask(Ask::Map { run, step })));
            self.images.map.asked = true;
        }
    }
}
