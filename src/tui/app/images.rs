//! The images screen's own state: which strips in which order, where the cursor stands, which pictures are at hand.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::saved::Neighbours;
use crate::store::RunId;
use crate::tui::effect::{Ask, Effect, Wished};
use crate::tui::images::{Found, K};
use crate::tui::keys::Action;
use crate::tui::pixels::{Picture, TILES, Tile};
use crate::tui::screens::images::{APART, MARGIN};
use crate::tui::screens::layout;

use super::cursor::moved;
use super::map::MapView;
use super::{App, Layer, Tab};

/// Pictures that are kept although they are not on screen.
const PICTURES_KEPT: usize = 2000;

/// What the images are of that stay on screen until every cell is drawn again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painted {
    page: Range<usize>,
    point: Option<usize>,
    lines: usize,
    tile: Tile,
    covered: bool,
}

/// Index into [`TILES`] of 12×12 pixels in half blocks.
const SMALLEST: usize = 2;

/// Which strips come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Least neighbours of their own class: what the features take for alike.
    #[default]
    Worst,
    Best,
    /// As in the data set.
    Number,
}

impl Order {
    pub fn words(self) -> &'static str {
        match self {
            Order::Worst => "worst first",
            Order::Best => "best first",
            Order::Number => "in order",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    pub found: Option<Arc<Found>>,
    pub order: Order,
    /// Queries of this class alone.
    pub class: Option<u16>,
    /// The chosen line, and the image in it; 0 = the query.
    pub cursor: usize,
    pub at: usize,
    pub map: MapView,
    /// Index into [`TILES`]; absent: what suits the terminal.
    size: Option<usize>,
    /// Strips by their place in what was found, else images by their number: those of the class, in order.
    lines: Vec<usize>,
    pictures: HashMap<u32, Picture>,
    /// Asked for, and not yet there.
    awaited: HashSet<u32>,
    /// The size that pictures are made for.
    made_for: Option<Tile>,
    searched: Option<RunId>,
    /// Kitty's terminal has to be told of these.
    unsent: Vec<u32>,
}

impl Images {
    /// Forgets what the terminal has been told, and the pictures with it.
    pub fn forget_pictures(&mut self) {
        self.pictures.clear();
        self.awaited.clear();
        self.unsent.clear();
    }

    fn take(&mut self, found: Arc<Found>) {
        let same = self.found.as_ref().is_some_and(|known| {
            (&known.run, &known.labels, &known.dataset)
                == (&found.run, &found.labels, &found.dataset)
        });
        if !same {
            self.forget_pictures();
            (self.cursor, self.at) = (0, 0);
        }
        self.found = Some(found);
        self.map.forget();
        self.arrange();
    }

    /// Puts the lines in order; the cursor stays within them.
    fn arrange(&mut self) {
        let Some(found) = &self.found else { return };
        if self.class.is_some_and(|class| usize::from(class) >= found.classes.len()) {
            self.class = None;
        }
        let fits =
            |row: usize| self.class.is_none_or(|class| found.labels.get(row) == Some(&class));
        if found.strips.is_empty() {
            self.lines = (0..found.labels.len()).filter(|&row| fits(row)).collect();
        } else {
            let strips = &found.strips;
            self.lines = (0..strips.len()).filter(|&i| fits(strips[i].query)).collect();
            match self.order {
                Order::Worst => {
                    self.lines.sort_by(|&a, &b| Neighbours::worst_first(&strips[a], &strips[b]));
                }
                Order::Best => {
                    self.lines.sort_by(|&a, &b| Neighbours::best_first(&strips[a], &strips[b]));
                }
                Order::Number => {}
            }
        }
    }

    pub(super) fn next_class(&mut self, by: isize) {
        let n = self.found.as_ref().map_or(0, |found| found.classes.len()) as isize;
        let at = self.class.map_or(-1, |class| class as isize) + by;
        // All of them stand between the last and the first.
        self.class = u16::try_from((at + 1).rem_euclid(n + 1) - 1).ok();
        (self.cursor, self.at) = (0, 0);
        self.arrange();
    }

    /// Whether what was found is of the run that is looked at.
    pub(super) fn is_current(&self) -> bool {
        self.found.as_ref().map(|found| &found.run) == self.searched.as_ref()
    }

    /// How many images the class filter leaves, or strips.
    pub fn n_lines(&self) -> usize {
        self.lines.len()
    }

    pub fn picture(&self, row: u32) -> Option<&Picture> {
        self.pictures.get(&row)
    }
}

impl App {
    /// Whether strips are shown; else images alone.
    pub fn has_strips(&self) -> bool {
        self.images.found.as_ref().is_some_and(|found| !found.strips.is_empty())
    }

    /// The size of one image on screen: unless chosen, the largest at which a query and all its neighbours stand side by
    /// side, and on a narrow terminal one at which something can still be made out.
    pub fn tile(&self) -> Tile {
        let strip = |tile: &Tile| (tile.width + 1) * (K as u16 + 1) + MARGIN + APART;
        let whole = TILES.iter().rposition(|tile| strip(tile) <= self.size.0);
        let usual = whole.unwrap_or(0).max(SMALLEST);
        let most = if self.has_map() { layout::map_tile(self) } else { TILES.len() - 1 };
        TILES[self.images.size.unwrap_or(usual).min(most)]
    }

    /// Lines of images that there are.
    pub fn image_lines(&self) -> usize {
        match self.has_strips() {
            true => self.images.lines.len(),
            false => self.images.lines.len().div_ceil(layout::images(self).columns.max(1)),
        }
    }

    /// The strip on a line.
    pub fn strip(&self, line: usize) -> Option<&Neighbours> {
        let found = self.images.found.as_ref()?;
        found.strips.get(*self.images.lines.get(line)?)
    }

    /// Numbers of the images on a line, as many as fit; the query first.
    pub fn images_on(&self, line: usize) -> Vec<u32> {
        let columns = layout::images(self).columns;
        if let Some(strip) = self.strip(line) {
            return self.images_of(strip);
        }
        let rows = self.images.lines.iter().skip(line * columns).take(columns);
        rows.map(|&row| row as u32).collect()
    }

    /// Numbers of a strip's images, as many as fit; the query first.
    pub fn images_of(&self, strip: &Neighbours) -> Vec<u32> {
        let near = strip.near.iter().map(|other| other.row);
        let columns = layout::images(self).columns;
        std::iter::once(strip.query as u32).chain(near).take(columns).collect()
    }

    /// Numbers of all images on screen.
    fn images_shown(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = match self.has_map() {
            true => self.mapped_strip().map(|strip| self.images_of(strip)).unwrap_or_default(),
            false => self.image_page().flat_map(|line| self.images_on(line)).collect(),
        };
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Lines on screen: those of the page that the cursor is on.
    pub fn image_page(&self) -> Range<usize> {
        let page = layout::images(self).lines.max(1);
        let from = self.images.cursor / page * page;
        from..(from + page).min(self.image_lines())
    }

    pub(super) fn act_in_images(&mut self, action: Action) {
        let moves = !matches!(
            action,
            Action::ZoomIn
                | Action::ZoomOut
                | Action::Refresh
                | Action::NextRun
                | Action::PreviousRun
        );
        if self.has_map() && moves {
            return self.act_on_map(action);
        }
        let page = layout::images(self).lines.max(1);
        let last = self.image_lines().saturating_sub(1);
        let at = self.images.cursor.min(last);
        let on_line = self.images_on(at).len().saturating_sub(1);
        let images = &mut self.images;
        if let Some(to) = moved(action, at, last, page) {
            images.cursor = to;
        }
        match action {
            Action::Left => images.at = images.at.min(on_line).saturating_sub(1),
            Action::Right => images.at = (images.at + 1).min(on_line),
            Action::NextOrder => {
                images.order = match images.order {
                    Order::Worst => Order::Best,
                    Order::Best => Order::Number,
                    Order::Number => Order::Worst,
                };
                (images.cursor, images.at) = (0, 0);
                images.arrange();
            }
            Action::NextClass => images.next_class(1),
            Action::PreviousClass => images.next_class(-1),
            Action::ZoomIn => self.resize_images(1),
            Action::ZoomOut => self.resize_images(-1),
            Action::Open => self.search_by_image(at),
            Action::Map => self.switch_map(),
            Action::Refresh => self.images.searched = None,
            Action::NextRun => self.table.step(1),
            Action::PreviousRun => self.table.step(-1),
            Action::Back => self.tab = Tab::Runs,
            _ => {}
        }
        let n = self.images_on(self.images.cursor).len();
        self.images.at = self.images.at.min(n.saturating_sub(1));
    }

    fn resize_images(&mut self, by: isize) {
        let now = TILES.iter().position(|tile| *tile == self.tile()).unwrap_or(0);
        let line = self.images_on(self.images.cursor).first().copied();
        self.images.size = Some(now.saturating_add_signed(by).min(TILES.len() - 1));
        // A gallery has other lines now.
        if let (Some(first), false) = (line, self.has_strips()) {
            let columns = layout::images(self).columns.max(1);
            let place = self.images.lines.iter().position(|&row| row as u32 == first);
            self.images.cursor = place.unwrap_or(0) / columns;
        }
    }

    /// Goes to the strip whose query is the chosen neighbour.
    fn search_by_image(&mut self, line: usize) {
        let chosen = self.images_on(line).get(self.images.at).copied();
        if let (Some(row), true) = (chosen, self.has_strips()) {
            self.go_to_strip(row);
        }
    }

    /// Goes to the strip of an image, without the class filter where that leaves it out.
    pub(super) fn go_to_strip(&mut self, row: u32) {
        let place = |images: &Images| {
            let found = images.found.as_ref()?;
            images.lines.iter().position(|&i| found.strips[i].query == row as usize)
        };
        if place(&self.images).is_none() {
            self.images.class = None;
            self.images.arrange();
        }
        match place(&self.images) {
            Some(line) => (self.images.cursor, self.images.at) = (line, 0),
            None => {
                self.say(false, format!("image {row} is none of the queries that were searched"));
            }
        }
    }

    pub(super) fn take_found(&mut self, found: Arc<Found>) {
        if self.images.searched.as_ref() == Some(&found.run) {
            self.images.take(found);
        }
    }

    pub(super) fn take_pictures(&mut self, run: &RunId, tile: Tile, new: Vec<(u32, Picture)>) {
        let images = &mut self.images;
        if images.found.as_ref().map(|found| &found.run) != Some(run)
            || images.made_for != Some(tile)
        {
            return;
        }
        for (row, picture) in new {
            images.awaited.remove(&row);
            images.unsent.push(row);
            images.pictures.insert(row, picture);
        }
    }

    /// Asks for a search when another run is looked at, and for pictures that come on screen.
    pub(super) fn ask_for_images(&mut self, effects: &mut Vec<Effect>) {
        let wanted = self.selected().filter(|_| self.tab == Tab::Images).map(|row| row.id.clone());
        if wanted != self.images.searched {
            effects.push(Effect::Ask(Ask::Images(wanted.clone())));
            self.images.searched = wanted;
            // What was asked for before is passed over.
            self.images.awaited.clear();
        }
        if self.tab != Tab::Images {
            return;
        }
        let tile = self.tile();
        if self.images.made_for != Some(tile) {
            self.images.forget_pictures();
            self.images.made_for = Some(tile);
        }
        self.ask_for_map(effects);
        let mut rows = self.images_shown();
        let images = &mut self.images;
        if images.pictures.len() > PICTURES_KEPT {
            images.pictures.retain(|row, _| rows.binary_search(row).is_ok());
        }
        rows.retain(|row| !images.pictures.contains_key(row) && !images.awaited.contains(row));
        // Only the run that was found has its data set read.
        let run = images.found.as_ref().map(|found| found.run.clone());
        if let Some(run) = run.filter(|_| !rows.is_empty() && images.is_current()) {
            images.awaited.extend(&rows);
            let graphics = self.graphics;
            effects.push(Effect::Ask(Ask::Pictures(Wished { run, rows, tile, graphics })));
        }
        let unsent: String = images
            .unsent
            .drain(..)
            .filter_map(|row| images.pictures.get(&row)?.transmission(self.graphics))
            .collect();
        if !unsent.is_empty() {
            effects.push(Effect::Transmit(unsent));
        }
    }

    /// What may be painted on screen; nothing where nothing is. It stays until every cell is drawn again, so that a change
    /// of this needs it.
    pub(super) fn painted(&self) -> Option<Painted> {
        let shown = self.tab == Tab::Images && self.graphics.is_painted();
        let covered = self.layer != Layer::None;
        shown.then(|| Painted {
            page: self.image_page(),
            point: self.has_map().then_some(self.images.map.at),
            lines: self.image_lines(),
            tile: self.tile(),
            covered,
        })
    }
}
