//! The image search of the screens, on a thread of its own: a data set takes seconds to read and a large bank seconds to
//! search, and the run log has to be read meanwhile.
//!
//! Between two jobs it keeps the data set of the run at hand, and lets it go when nobody looks at images.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::config::RunSpec;
use crate::config::spec::DataSpec;
use crate::data::{self, Dataset};
use crate::lab::Home;
use crate::saved::{self, Array, Method, Saved, neighbours};
use crate::store::RunId;
use crate::tui::effect::Wished;
use crate::tui::event::{Data, Event};
use crate::tui::images::{Found, K, Map};
use crate::tui::pixels::Picture;

/// Products of a query with a bank row, number by number, that one search may take: a second or two on two cores. Where
/// all rows as queries would be more, queries are spread evenly.
const WORK: usize = 20_000_000_000;

pub enum Job {
    /// Search the newest checkpoint of this run; of none: rest.
    Search(Option<RunId>),
    Pictures(Wished),
    /// Map the bank of this run's checkpoint, which was searched.
    Map {
        run: RunId,
        step: u64,
    },
}

/// The screens' end of the thread; dropped, the thread ends after the job at hand.
pub struct Searcher(Sender<Job>);

impl Searcher {
    pub fn start(home: Home, events: Sender<Event>) -> io::Result<Self> {
        let (jobs, asked) = mpsc::channel();
        let worker = Worker { home, events, images: None };
        std::thread::Builder::new().name("images".into()).spawn(move || worker.work(&asked))?;
        Ok(Self(jobs))
    }

    pub fn ask(&self, job: Job) {
        // A thread that is gone has said so by its panic; the loop is ending.
        drop(self.0.send(job));
    }
}

struct Worker {
    home: Home,
    events: Sender<Event>,
    images: Option<(DataSpec, Dataset)>,
}

impl Worker {
    fn work(mut self, asked: &Receiver<Job>) {
        while let Ok(job) = asked.recv() {
            let mut jobs = vec![job];
            jobs.extend(asked.try_iter());
            // Of several searches the last one counts, and pictures before it are of another run.
            let last = jobs.iter().rposition(|job| matches!(job, Job::Search(_))).unwrap_or(0);
            for job in jobs.drain(..).skip(last) {
                match job {
                    Job::Search(None) => self.images = None,
                    Job::Search(Some(run)) => {
                        let found = self.search(&run);
                        self.tell(Data::Found(Arc::new(found)));
                    }
                    Job::Pictures(wished) => self.pictures(wished),
                    Job::Map { run, step } => self.map(&run, step),
                }
            }
        }
    }

    fn tell(&self, data: Data) {
        drop(self.events.send(Event::Data(data)));
    }

    fn search(&mut self, run: &RunId) -> Found {
        let mut found = Found { run: run.clone(), ..Found::default() };
        if let Err(why) = self.load(run) {
            found.why = Some(why);
            return found;
        }
        let Some((_, data)) = &self.images else { return found };
        found.dataset.clone_from(&data.name);
        found.classes.clone_from(&data.classes);
        found.labels.clone_from(&data.train.labels);
        match self.bank(run, None, data.train.len()) {
            Err(why) => found.why = Some(why),
            Ok((step, bank)) => {
                found.step = Some(step);
                found.strips = neighbours(&bank, data, &queries(&bank), K);
            }
        }
        found
    }

    /// Tells of the map by principal components at once, and of the one by t-SNE after some seconds.
    fn map(&self, run: &RunId, step: u64) {
        let map = Map { run: run.clone(), step, ..Map::default() };
        let n_images = self.images.as_ref().map_or(0, |(_, data)| data.train.len());
        let bank = match self.bank(run, Some(step), n_images) {
            Ok((_, bank)) => bank,
            Err(why) => return self.tell(Data::Map(Arc::new(Map { why: Some(why), ..map }))),
        };
        // Of what was searched, so that every point has its neighbours.
        let searched = queries(&bank);
        let rows = saved::spread_over(searched.len(), saved::MAP_POINTS);
        let rows: Vec<u32> = rows.map(|at| searched[at] as u32).collect();
        let events = self.events.clone();
        let draw = move |method: Method| {
            let mut map = Map { method, rows: rows.clone(), ..map.clone() };
            match saved::map(method, &bank, &rows) {
                Some(plane) => (map.words, map.places) = (plane.words(), plane.places),
                None => map.why = Some("its rows are too few or do not differ".to_owned()),
            }
            drop(events.send(Event::Data(Data::Map(Arc::new(map)))));
        };
        draw(Method::Pca);
        // Meanwhile keys go from point to point, whose pictures come from here. Where there can be no thread, the first map
        // is all there is.
        let slow = std::thread::Builder::new().name("map".into());
        drop(slow.spawn(move || draw(Method::Tsne)));
    }

    /// The bank of the checkpoint of `step`, or of the newest; a row a training image.
    fn bank(&self, run: &str, step: Option<u64>, n_images: usize) -> Result<(u64, Array), String> {
        let saved = Saved::open(&self.home.run(run), step).map_err(|why| why.to_string())?;
        let bank = saved.bank().map_err(|why| why.to_string())?;
        if bank.shape[0] != n_images {
            let rows = bank.shape[0];
            return Err(format!("found {n_images} training images, its memory bank has {rows}"));
        }
        Ok((saved.step, bank))
    }

    /// Reads the run's data set unless it is at hand.
    fn load(&mut self, run: &str) -> Result<(), String> {
        let path = self.home.run(run).spec();
        let text = std::fs::read(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        let spec: RunSpec =
            serde_json::from_slice(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        if self.images.as_ref().is_some_and(|(known, _)| *known == spec.data) {
            return Ok(());
        }
        // Two data sets at once could be more than there is memory.
        self.images = None;
        let data = data::load(&spec.data, &self.home).map_err(|why| why.to_string())?;
        self.images = Some((spec.data, data));
        Ok(())
    }

    fn pictures(&self, wished: Wished) {
        let Some((_, data)) = &self.images else { return };
        let side = data.side;
        let rows: Vec<u32> =
            wished.rows.iter().copied().filter(|row| (*row as usize) < data.train.len()).collect();
        let mut pixels = vec![0; rows.len() * side * side * 3];
        if let Err(why) = data.train.read(&rows, &mut pixels) {
            return self.tell(Data::Answer { done: false, text: why.to_string() });
        }
        let pictures = rows.iter().zip(pixels.chunks_exact((side * side * 3).max(1)));
        let pictures = pictures.map(|(&row, pixels)| {
            // Numbers from one: zero would be no image to the terminal.
            (row, Picture::new(side, pixels, wished.tile, wished.graphics, row + 1))
        });
        let pictures = pictures.collect();
        self.tell(Data::Pictures { run: wished.run, tile: wished.tile, pictures });
    }
}

/// All rows, or as many as [`WORK`] allows, spread evenly.
fn queries(bank: &Array) -> Vec<usize> {
    let (n, dim) = (bank.shape[0], bank.shape[1]);
    let most = (WORK / (n * dim).max(1)).max(1);
    saved::spread_over(n, most).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::saved::tests::checkpoint;
    use crate::tui::pixels::{Graphics, TILES};

    #[test]
    fn a_run_is_searched_its_pictures_are_shown_and_what_is_missing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let spec = "name = 'x'\n[base]\ndata.dataset = 'shapes'\ndata.fraction = 0.002\nobjective.kind = 'nce'\n";
        let parsed = crate::config::experiment::parse("x.toml", spec, &Default::default()).unwrap();
        let spec = crate::grid::expand(&parsed).unwrap().remove(0).spec;
        for id in ["x-1", "x-2"] {
            std::fs::create_dir_all(home.run(id).path()).unwrap();
            std::fs::write(home.run(id).spec(), serde_json::to_vec(&spec).unwrap()).unwrap();
        }
        let angles = (0..20).map(|i| (i as f32 * 4.0).to_radians());
        let numbers: Vec<f32> = angles.flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        checkpoint(home.run("x-1").path(), 7, &[("bank", &[20, 2], &numbers)]);

        let (sender, events) = mpsc::channel();
        let searcher = Searcher::start(home, sender).unwrap();
        let next = || match events.recv_timeout(Duration::from_secs(60)).unwrap() {
            Event::Data(data) => data,
            other => panic!("{other:?}"),
        };
        searcher.ask(Job::Search(Some("x-1".into())));
        let Data::Found(found) = next() else { panic!("nothing found") };
        assert_eq!((found.step, found.strips.len(), found.labels.len()), (Some(7), 20, 20));
        assert_eq!((found.strips[3].query, found.strips[3].near.len()), (3, K));
        assert_eq!(found.why, None);
        searcher.ask(Job::Map { run: "x-1".into(), step: 7 });
        for method in [Method::Pca, Method::Tsne] {
            let Data::Map(map) = next() else { panic!("no map") };
            assert_eq!((map.method, map.rows.len(), map.places.len()), (method, 20, 20));
            assert!(map.why.is_none() && map.words.starts_with(method.name()), "{}", map.words);
        }
        searcher.ask(Job::Map { run: "x-1".into(), step: 8 });
        let Data::Map(map) = next() else { panic!("no map") };
        assert!(map.why.as_ref().unwrap().contains("no checkpoint of step 8"), "{:?}", map.why);

        let tile = TILES[1];
        let rows = vec![0, 19, 20];
        let wished = Wished { run: "x-1".into(), rows, tile, graphics: Graphics::Kitty };
        searcher.ask(Job::Pictures(wished));
        let Data::Pictures { pictures, .. } = next() else { panic!("no pictures") };
        assert_eq!(pictures.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 19], "20 is none");
        assert!(pictures[1].1.transmission(Graphics::Kitty).unwrap().contains("i=20,"));

        searcher.ask(Job::Search(Some("x-2".into())));
        let Data::Found(found) = next() else { panic!("nothing found") };
        assert!(found.why.as_ref().unwrap().contains("found no checkpoint"), "{:?}", found.why);
        assert_eq!((found.strips.len(), found.labels.len()), (0, 20), "its images are there");
        searcher.ask(Job::Search(Some("x-3".into())));
        let Data::Found(found) = next() else { panic!("nothing found") };
        assert!(found.why.as_ref().unwrap().contains("x-3"), "{:?}", found.why);
    }

    #[test]
    fn queries_of_a_large_bank_are_spread_over_it() {
        let bank = |n: usize, dim: usize| Array { shape: vec![n, dim], numbers: Vec::new() };
        assert_eq!(queries(&bank(4, 2)), [0, 1, 2, 3]);
        let many = queries(&bank(1_000_000, 128));
        assert_eq!((many.len(), many[1] - many[0]), (156, 6410));
        assert!(*many.last().unwrap() < 1_000_000);
        assert_eq!(queries(&bank(0, 128)), Vec::<usize>::new());
    }
}
