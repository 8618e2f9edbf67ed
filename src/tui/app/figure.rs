//! What is on screen as a figure for a paper: the chart that keys mean, or the map.

use crate::report::figure::{self, Series, axis, file_stem, thinned};
use crate::report::raster::Kind;
use crate::tui::effect::{Ask, Effect};

use super::{App, Tab};

/// The beginning of a file's name, and a drawing; in words, why there is none.
type Drawn = Result<(String, String), String>;

impl App {
    /// Saves it in the folder that the screens were started in.
    pub(super) fn save_figure(&mut self, kind: Kind, effects: &mut Vec<Effect>) {
        let drawn = match self.tab {
            Tab::Charts => self.drawn_chart(),
            Tab::Images => self.drawn_map(),
            _ => return,
        };
        match drawn {
            Ok((stem, svg)) => {
                let file = format!("{stem}.{}", kind.extension());
                effects.push(Effect::Ask(Ask::Draw { file, svg, kind }));
            }
            Err(why) => self.say(false, why),
        }
    }

    /// The raw curves of the runs in the chart over what is seen of the axis, in the order of their colours.
    fn drawn_chart(&self) -> Drawn {
        let metric = self.focused_metric().ok_or("there is no chart to save")?;
        let range = self.x_range().ok_or("its curves are not there yet")?;
        let mut shown = self.shown();
        shown.sort_by_key(|run| run.slot);
        let mut lines = Vec::new();
        for run in shown {
            let Some(series) = self.series(&run.row.id, &metric) else { continue };
            let along = self.charts.axis.along(run.row);
            let points = (0..series.len())
                .filter_map(|at| Some((series.place(at, along), series.sample(at)?.value)));
            let seen = points.filter(|(x, _)| (range.from..=range.to).contains(x));
            let line = thinned(&seen.collect::<Vec<_>>());
            let name = run.row.id.clone();
            lines.push(Series { name, lines: vec![line], published: Vec::new() });
        }
        let unit = if self.charts.axis.is_time() { " (s)" } else { "" };
        let x = format!("{}{unit}", self.charts.axis.unit());
        let svg = figure::curves(&x, &axis(&metric), &lines).map_err(|why| why.to_string())?;
        let svg = svg.ok_or_else(|| format!("no curve of {metric} is there to save"))?;
        Ok((format!("curve-{}", file_stem(&metric)), svg))
    }

    fn drawn_map(&self) -> Drawn {
        let map = self.images.map.shown().filter(|map| self.has_map() && map.why.is_none());
        let map = map.ok_or("there is no map to save")?;
        let found = self.images.found.as_ref().ok_or("there is no map to save")?;
        let points = map.places.iter().enumerate().filter_map(|(point, place)| {
            let (row, label) = self.mapped(point)?;
            Some((label, found.class(row as usize), *place))
        });
        let classes = figure::classes(points);
        let (run, step, n) = (&map.run, map.step, map.rows.len());
        let title = format!("{run}, step {step}, {n} images, {}", map.words);
        let svg = figure::map(&title, &classes).map_err(|why| why.to_string())?;
        Ok((format!("{}-{run}", map.method.stem()), svg))
    }
}
